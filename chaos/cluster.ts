import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import mysql from 'mysql2/promise';
import { type DatabaseKind, startDatabase } from '../src/embedded/database.ts';
import { findFreePort } from '../src/embedded/port.ts';
import { startRedis } from '../src/embedded/redis.ts';
import { loadConfig } from '../src/platform/config.ts';
import { errorCode } from '../src/store/database.ts';
import { migrateDatabase } from '../src/store/migrate.ts';
import { type Network, startNetwork } from '../test/support/network.ts';
import { type Process, startProcess } from '../test/support/processes.ts';

const TOOLS = fileURLToPath(new URL('../.bjr/servers', import.meta.url));

/** Short periods: what takes minutes in earnest takes seconds here. */
export const LEASE_MS = 4000;
const SETTINGS = {
  NODE_ENV: 'test',
  LEASE_SECONDS: String(LEASE_MS / 1000),
  TICK_SECONDS: '1',
  KILL_GRACE_SECONDS: '1',
  DRAIN_TIMEOUT_SECONDS: '4',
  MISFIRE_GRACE_SECONDS: '1',
  RUNNERS: '1',
  LOG_LEVEL: 'debug',
  JOB_DIRECTORY: '/tmp',
};

/** A worker behind networks of its own. */
export interface WorkerNode {
  name: string;
  process: Process;
  database: Network;
  redis: Network;
  stateDirectory: string;
}

export interface Server {
  pid(): number;
  /** With -9, as a crash is. */
  kill(): void;
  /** On the same port, with the same data; a killed one recovers. */
  start(): Promise<void>;
}

export interface Cluster {
  folder: string;
  env: Record<string, string>;
  database: Server;
  redis: Server;
  workers: WorkerNode[];
  apiUrl: string;
  api: Process;
  /** Every process that has ever been a worker, for what they said. */
  history: Process[];
  /** Starts a worker, in the place of one that has ended where one is given. */
  startWorker(name: string, settings?: Record<string, string>, place?: WorkerNode): Promise<WorkerNode>;
  startApi(): Promise<void>;
  /** Over a connection that is made anew when the database has gone away meanwhile. */
  query<T = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<T[]>;
  stop(): Promise<void>;
}

const pidIn = (directory: string, name: string) => () => Number(readFileSync(join(directory, `${name}.pid`), 'utf8'));

export async function startCluster(kind: DatabaseKind, onProgress: (line: string) => void): Promise<Cluster> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'bjr-chaos-'));
  const common = { toolsDir: TOOLS, path: process.env['PATH'] ?? '', onProgress };
  const databaseFolder = join(folder, 'database');
  const redisFolder = join(folder, 'redis');
  // The default durability: a database that is killed has lost nothing that it took.
  let database = await startDatabase({ ...common, kinds: [kind], directory: databaseFolder, isThrowaway: false });
  let redis = await startRedis({ ...common, directory: redisFolder });
  const apiPort = await findFreePort();
  const env: Record<string, string> = {
    ...SETTINGS,
    PATH: process.env['PATH'] ?? '',
    BJR_DATABASE: 'bjr_chaos',
    BJR_DATABASE_HOST: '127.0.0.1',
    BJR_DATABASE_PORT: String(database.port),
    BJR_DATABASE_USERNAME: database.username,
    BJR_DATABASE_PASSWORD: database.password,
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: String(redis.port),
    PORT: String(apiPort),
    METRICS_PORT: '0',
  };
  await migrateDatabase(loadConfig(env).database);

  const [databasePid, redisPid] = [pidIn(databaseFolder, 'database'), pidIn(redisFolder, 'redis')];
  const history: Process[] = [];
  const workers: WorkerNode[] = [];
  let connection: mysql.Connection | null = null;

  /** A second outcome would leave no trace in the run's row. */
  const watchOutcomes = async () => {
    await cluster.query(
      'CREATE TABLE chaos_changed_outcomes (run_id BIGINT UNSIGNED, before_it VARCHAR(20), after_it VARCHAR(20), at DATETIME(6))',
    );
    await cluster.query(
      `CREATE TRIGGER chaos_outcomes AFTER UPDATE ON job_runs FOR EACH ROW
         INSERT INTO chaos_changed_outcomes
         SELECT NEW.id, OLD.outcome, COALESCE(NEW.outcome, 'none'), UTC_TIMESTAMP(6) FROM DUAL WHERE OLD.outcome IS NOT NULL`,
    );
  };

  const cluster: Cluster = {
    folder,
    env,
    workers,
    history,
    apiUrl: `http://127.0.0.1:${apiPort}`,
    api: undefined as never,
    database: {
      pid: databasePid,
      kill: () => process.kill(databasePid(), 'SIGKILL'),
      async start() {
        await delay(200);
        database = await startDatabase({ ...common, kinds: [kind], directory: databaseFolder, isThrowaway: false });
      },
    },
    redis: {
      pid: redisPid,
      kill: () => process.kill(redisPid(), 'SIGKILL'),
      async start() {
        await delay(200);
        redis = await startRedis({ ...common, directory: redisFolder });
      },
    },
    async startWorker(name, settings = {}, place) {
      const node = place ?? {
        name,
        database: await startNetwork(database.port),
        redis: await startNetwork(redis.port),
        stateDirectory: join(folder, `state-${name}`),
        process: undefined as never,
      };
      mkdirSync(node.stateDirectory, { recursive: true });
      node.process = startProcess('worker', {
        ...env,
        BJR_DATABASE_PORT: String(node.database.port),
        REDIS_PORT: String(node.redis.port),
        STATE_DIRECTORY: node.stateDirectory,
        ...settings,
      });
      history.push(node.process);
      if (!place) workers.push(node);
      await node.process.line((line) => line['msg'] === 'The worker is ready');
      return node;
    },
    async startApi() {
      cluster.api = startProcess('api', env);
      await cluster.api.line((line) => String(line['msg']).startsWith('The API is ready'));
    },
    async query<T>(sql: string, values: unknown[] = []) {
      for (let tries = 0; ; tries++) {
        try {
          connection ??= await connect(env);
          const [rows] = await connection.query<mysql.RowDataPacket[]>(sql, values);
          return rows as T[];
        } catch (error) {
          connection?.destroy();
          connection = null;
          // What the statement itself is refused for does not pass.
          if (tries === 40 || errorCode(error) === 'ER_PARSE_ERROR') throw error;
          await delay(250);
        }
      }
    },
    async stop() {
      await Promise.all([...workers.map((worker) => worker.process), cluster.api].map((one) => one.end('SIGKILL')));
      for (const worker of workers) await Promise.all([worker.database.close(), worker.redis.close()]);
      connection?.destroy();
      await Promise.all([database.stop(), redis.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await watchOutcomes();
  return cluster;
}

export async function connect(env: Record<string, string>): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({
    host: '127.0.0.1',
    port: Number(env['BJR_DATABASE_PORT']),
    user: env['BJR_DATABASE_USERNAME'] ?? '',
    password: env['BJR_DATABASE_PASSWORD'] ?? '',
    database: env['BJR_DATABASE'] ?? '',
    timezone: 'Z',
  });
  connection.on('error', () => {});
  await connection.query("SET time_zone = '+00:00'");
  return connection;
}
