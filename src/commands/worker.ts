import { randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { createDatabaseClock, monotonicMs } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import { logEvents } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import { createService } from '../platform/service.ts';
import { VERSION } from '../platform/version.ts';
import { awaitRedis, connectRedis } from '../redis/connection.ts';
import { createLeaderLock } from '../redis/leaderLock.ts';
import { createWakeUps, listenForWakeUps } from '../redis/wakeUps.ts';
import { createWorkerRegistry } from '../redis/workers.ts';
import { createElection, everyoneLeads } from '../scheduler/election.ts';
import { createLeaderPass } from '../scheduler/leader.ts';
import { createDatabase, readNowMs } from '../store/database.ts';
import { createDatabaseLeaderLock } from '../store/leaderLock.ts';
import { requireSchema } from '../store/requireSchema.ts';
import { createRunnerPool } from '../worker/runnerPool.ts';
import { createWorker } from '../worker/worker.ts';
import { onStopSignals } from './stopSignals.ts';

/** Runs a worker, which stands for election as the leader too, until it is told to stop. */
export async function runWorker(config: Config, log: Log): Promise<number> {
  const workerId = randomUUID();
  const workerLog = log.child({ workerId });
  const emit = logEvents(workerLog);
  const db = createDatabase(config.database, emit);
  const redis = connectRedis(config.redis, workerLog);
  await Promise.all([requireSchema(db), awaitRedis(redis, 2000)]);

  const clock = createDatabaseClock();
  const askedAtMs = monotonicMs();
  clock.observe(await readNowMs(db), askedAtMs);
  const { prefix } = config.redis;
  const registry = createWorkerRegistry(redis, prefix);
  const wakeUps = createWakeUps(redis, prefix);

  const worker = createWorker({
    db,
    registry,
    pool: createRunnerPool(config.worker.runners, workerLog),
    clock,
    config: config.worker,
    identity: { workerId, host: config.hostname, pid: process.pid, version: VERSION },
    home: homedir(),
    hasWakeUps: () => redis.status === 'ready',
    emit,
    log: workerLog,
  });
  // A dead leader is replaced before the leases of its worker have expired.
  const termMs = config.worker.leaseMs / 2;
  const election = config.scheduler.hasElection
    ? createElection({
        redisLock: createLeaderLock(redis, prefix),
        databaseLock: createDatabaseLeaderLock(db, config.database.name),
        termMs,
        monotonic: monotonicMs,
        emit,
      })
    : everyoneLeads;
  const { tickMs } = config.scheduler;
  const runOnce = createLeaderPass({ db, election, registry, wakeUps, clock, tickMs, passMs: termMs / 3, emit });
  const leader = createService({ name: 'leader', log: workerLog, runOnce });
  const listener = listenForWakeUps(redis, prefix, worker.wake);

  await worker.start();
  leader.start();
  workerLog.info({ slots: config.worker.slots, runners: config.worker.runners }, 'The worker is ready');

  await onStopSignals({ onSecond: worker.hurry });
  workerLog.info('Draining: no new claims; running commands may finish');
  await leader.stop();
  await election.resign();
  await worker.drain();
  listener.close();
  redis.disconnect();
  await db.close();
  workerLog.info('The worker has stopped');
  return 0;
}
