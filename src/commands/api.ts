import cluster from 'node:cluster';
import { serve } from '@hono/node-server';
import { createApi } from '../api/app.ts';
import type { Config } from '../platform/config.ts';
import { logEvents } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import { createAttempts } from '../redis/attempts.ts';
import { createCancels } from '../redis/cancels.ts';
import { awaitRedis, connectRedis } from '../redis/connection.ts';
import { createLiveOutput } from '../redis/liveOutput.ts';
import { createWakeUps } from '../redis/wakeUps.ts';
import { createWorkerCommands } from '../redis/workerCommands.ts';
import { createWorkerRegistry } from '../redis/workers.ts';
import { createTokens } from '../services/tokens.ts';
import { createDatabase } from '../store/database.ts';
import { awaitSchema } from '../store/requireSchema.ts';
import { onStopSignals } from './stopSignals.ts';

/** Serves the API until told to stop, in as many processes as WEB_CONCURRENCY says. */
export async function runApi(config: Config, log: Log): Promise<number> {
  return cluster.isPrimary && config.api.processes > 1 ? superviseProcesses(config, log) : serveApi(config, log);
}

/** Keeps the processes that share the port: one that dies is replaced, a stop is passed on to all. */
async function superviseProcesses(config: Config, log: Log): Promise<number> {
  let isStopping = false;
  for (let index = 0; index < config.api.processes; index++) cluster.fork();
  const gone = new Promise<void>((resolve) => {
    cluster.on('exit', (child, code, signal) => {
      if (isStopping) {
        if (Object.keys(cluster.workers ?? {}).length === 0) resolve();
        return;
      }
      log.error({ pid: child.process.pid, code, signal }, 'An API process died: starting another');
      setTimeout(() => cluster.fork(), RESTART_MS);
    });
  });
  await onStopSignals({ onSecond: () => signalAll('SIGKILL') });
  isStopping = true;
  signalAll('SIGTERM');
  await gone;
  return 0;
}

const RESTART_MS = 1000;

function signalAll(signal: NodeJS.Signals): void {
  for (const child of Object.values(cluster.workers ?? {})) child?.process.kill(signal);
}

async function serveApi(config: Config, log: Log): Promise<number> {
  const db = createDatabase(config.database, logEvents(log));
  const redis = connectRedis(config.redis, log);
  await Promise.all([awaitSchema(db, log), awaitRedis(redis, 2000)]);
  const { prefix } = config.redis;
  const api = createApi({
    db,
    wakeUps: createWakeUps(redis, prefix),
    tokens: createTokens(config.api.secret, config.api.tokenLifeSeconds),
    registry: createWorkerRegistry(redis, prefix),
    workerCommands: createWorkerCommands(redis, prefix),
    cancels: createCancels(redis, prefix),
    liveOutput: createLiveOutput(redis, prefix),
    attempts: createAttempts(redis, prefix),
    signInsMax: config.api.signInsMax,
    trustedProxies: config.api.trustedProxies,
    corsOrigins: config.api.corsOrigins,
    log,
  });
  const { host, port, requestTimeoutMs } = config.api;
  // A request that does not come to its end holds a connection, and may be sent a byte at a time for that.
  const serverOptions = {
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: requestTimeoutMs / 4,
  };
  const server = serve({ fetch: api.fetch, hostname: host, port, serverOptions });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', () => resolve());
    server.once('error', reject);
  });
  log.info({ host, port }, `The API is ready: http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}/api-docs`);

  const hangUp = () => 'closeAllConnections' in server && server.closeAllConnections();
  await onStopSignals({ onSecond: hangUp });
  log.info('Stopping: no new requests; those under way are answered');
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    setTimeout(hangUp, CLOSE_MS).unref();
  });
  redis.disconnect();
  await db.close();
  return 0;
}

/** Clients that keep an idle connection open do not keep the process. */
const CLOSE_MS = 10_000;
