import type { DatabaseClock } from '../platform/clock.ts';
import type { WorkerConfig } from '../platform/config.ts';
import type { Emit } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import type { Heartbeat, WorkerRegistry } from '../redis/workers.ts';
import type { Database } from '../store/database.ts';
import type { RunnerPool } from './runnerPool.ts';

/** What a worker is built from. */
export interface WorkerParts {
  db: Database;
  registry: WorkerRegistry;
  pool: RunnerPool;
  clock: DatabaseClock;
  config: WorkerConfig;
  identity: Pick<Heartbeat, 'workerId' | 'host' | 'pid' | 'version'>;
  home: string;
  hasWakeUps(): boolean;
  emit: Emit;
  log: Log;
}
