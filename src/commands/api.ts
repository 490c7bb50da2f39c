import cluster from 'node:cluster';
import { serve } from '@hono/node-server';
import { createApi } from '../api/app.ts';
import type { Config } from '../platform/config.ts';
import { logEvents, tellAll } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import { addPool, addRedis } from '../platform/metrics/connections.ts';
import { countRequests } from '../platform/metrics/countRequests.ts';
import { countRetries } from '../platform/metrics/countRetries.ts';
import { createCollector, reportMetrics } from '../platform/metrics/processes.ts';
import { createRegistry, type Registry } from '../platform/metrics/registry.ts';
import { createAttempts } from '../redis/attempts.ts';
import { createCancels } from '../redis/cancels.ts';
import { awaitRedis, connectRedis } from '../redis/connection.ts';
import { createLiveOutput } from '../redis/liveOutput.ts';
import { createWakeUps } from '../redis/wakeUps.ts';
import { createWorkerCommands } from '../redis/workerCommands.ts';
import { createWorkerRegistry } from '../redis/workers.ts';
import { createTokens } from '../services/tokens.ts';
import { createDatabase, RETRIED } from '../store/database.ts';
import { awaitSchema } from '../store/requireSchema.ts';
import { serveApiProbes } from './apiProbes.ts';
import { onStopSignals } from './stopSignals.ts';

/** Serves the API until told to stop, in as many processes as WEB_CONCURRENCY says. */
export async function runApi(config: Config, log: Log): Promise<number> {
  if (cluster.isPrimary && config.api.processes > 1) return superviseProcesses(config, log);
  const own: ApiProcess = { metrics: createRegistry('api'), isServing: false };
  if (cluster.isPrimary) {
    await serveApiProbes(config, { render: () => own.metrics.metrics(), isServing: () => own.isServing, log });
  } else {
    reportMetrics(own.metrics);
  }
  return serveApi(config, log, own);
}

interface ApiProcess {
  metrics: Registry;
  /** It takes requests. */
  isServing: boolean;
}

/** Keeps the processes that share the port: one that dies is replaced, a stop is passed on to all. */
async function superviseProcesses(config: Config, log: Log): Promise<number> {
  let isStopping = false;
  const collector = createCollector();
  const serving = new Set<number>();
  cluster.on('fork', collector.adopt);
  cluster.on('listening', ({ id }) => serving.add(id));
  cluster.on('exit', ({ id }) => serving.delete(id));
  await serveApiProbes(config, {
    render: collector.collect,
    isServing: () => !isStopping && serving.size > 0,
    log,
  });
  for (let index = 0; index < config.api.processes; index++) cluster.fork();
  const gone = new Promise<void>((resolve) => {
    cluster.on('exit', (child, code, signal) => {
      if (isStopping) {
        if (isNobodyLeft()) resolve();
        return;
      }
      log.error({ pid: child.process.pid, code, signal }, 'An API process died: starting another');
      setTimeout(() => isStopping || cluster.fork(), RESTART_MS);
    });
  });
  await onStopSignals({ onSecond: () => signalAll('SIGKILL') });
  isStopping = true;
  signalAll('SIGTERM');
  if (!isNobodyLeft()) await gone;
  return 0;
}

const isNobodyLeft = () => Object.keys(cluster.workers ?? {}).length === 0;

const RESTART_MS = 1000;

function signalAll(signal: NodeJS.Signals): void {
  for (const child of Object.values(cluster.workers ?? {})) child?.process.kill(signal);
}

async function serveApi(config: Config, log: Log, own: ApiProcess): Promise<number> {
  const { metrics } = own;
  const emit = tellAll(logEvents(log), countRequests(metrics), countRetries(metrics, RETRIED.keys()));
  const db = createDatabase(config.database, emit);
  const redis = connectRedis(config.redis, log);
  addPool(metrics, db.poolUse);
  addRedis(metrics, () => redis.status === 'ready');
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
    emit,
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
  const hangUp = () => 'closeAllConnections' in server && server.closeAllConnections();
  // Before anyone hears that it is ready, and may end it.
  const isToStop = onStopSignals({ onSecond: hangUp });
  own.isServing = true;
  log.info({ host, port }, `The API is ready: http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}/api-docs`);

  await isToStop;
  own.isServing = false;
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
