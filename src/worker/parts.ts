import type { DatabaseClock } from '../platform/clock.ts';
import type { WorkerConfig } from '../platform/config.ts';
import type { Emit } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import type { Service } from '../platform/service.ts';
import type { LiveOutput } from '../redis/liveOutput.ts';
import type { WakeUps } from '../redis/wakeUps.ts';
import type { Heartbeat, WorkerRegistry } from '../redis/workers.ts';
import type { Database } from '../store/database.ts';
import type { DatabaseContact } from './databaseContact.ts';
import type { JobUserOf } from './jobUser.ts';
import type { RunnerPool } from './runnerPool.ts';
import type { Spool } from './spool.ts';

/** What a worker is built from. */
export interface WorkerParts {
  db: Database;
  registry: WorkerRegistry;
  pool: RunnerPool;
  spool: Spool;
  /** Tells callbacks of what has been recorded. */
  deliverer: Service;
  databaseContact: DatabaseContact;
  liveOutput: LiveOutput;
  clock: DatabaseClock;
  config: WorkerConfig;
  identity: Pick<Heartbeat, 'workerId' | 'host' | 'pid' | 'version'>;
  jobUserOf: JobUserOf;
  /** Tells other workers that there is something to claim. */
  wakeUps: WakeUps;
  hasWakeUps(): boolean;
  emit: Emit;
  log: Log;
}
