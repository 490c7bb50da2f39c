import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createDatabaseClock, monotonicMs } from '../platform/clock.ts';
import type { Config } from '../platform/config.ts';
import { logEvents, tellAll } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import { addBacklog } from '../platform/metrics/backlog.ts';
import { addPool, addRedis } from '../platform/metrics/connections.ts';
import { countRetries } from '../platform/metrics/countRetries.ts';
import { countRuns } from '../platform/metrics/countRuns.ts';
import { serveProbes } from '../platform/metrics/listener.ts';
import { createRegistry } from '../platform/metrics/registry.ts';
import { addWorker } from '../platform/metrics/worker.ts';
import { createService } from '../platform/service.ts';
import { VERSION } from '../platform/version.ts';
import { listenForCancels } from '../redis/cancels.ts';
import { awaitRedis, connectRedis } from '../redis/connection.ts';
import { createLeaderLock } from '../redis/leaderLock.ts';
import { createLiveOutput } from '../redis/liveOutput.ts';
import { createWakeUps, listenForWakeUps } from '../redis/wakeUps.ts';
import { listenForCommands } from '../redis/workerCommands.ts';
import { createWorkerRegistry } from '../redis/workers.ts';
import { createElection, everyoneLeads } from '../scheduler/election.ts';
import { createHousekeeping } from '../scheduler/housekeeping.ts';
import { createLeaderPass } from '../scheduler/leader.ts';
import { createReaper } from '../scheduler/reap.ts';
import { createDatabase, RETRIED, readNowMs } from '../store/database.ts';
import { createDatabaseLeaderLock } from '../store/leaderLock.ts';
import { outputBytesFitting } from '../store/outputRoom.ts';
import { readBacklog } from '../store/readBacklog.ts';
import { awaitSchema } from '../store/requireSchema.ts';
import { createDatabaseContact } from '../worker/databaseContact.ts';
import { createDeliverer } from '../worker/deliver.ts';
import { createJobCgroups } from '../worker/jobCgroups.ts';
import { createJobUsers } from '../worker/jobUser.ts';
import { createRunnerPool } from '../worker/runnerPool.ts';
import { createCallbackSender } from '../worker/sendCallback.ts';
import { createSpool } from '../worker/spool.ts';
import { createWorker } from '../worker/worker.ts';
import { onStopSignals } from './stopSignals.ts';

/** A start waits no longer for Redis. */
const REDIS_START_MS = 2000;

/** Runs a worker, which stands for election as the leader too, until it is told to stop. */
export async function runWorker(config: Config, log: Log): Promise<number> {
  const workerId = randomUUID();
  const workerLog = log.child({ workerId });
  const metrics = createRegistry('worker');
  const emit = tellAll(logEvents(workerLog), countRuns(metrics, monotonicMs), countRetries(metrics, RETRIED.keys()));
  const jobUserOf = createJobUsers(config.worker.jobUser, {
    isProduction: config.isProduction,
    uid: process.getuid?.(),
  });
  const db = createDatabase(config.database, emit);
  const redis = connectRedis(config.redis, workerLog);
  const cgroups = await createJobCgroups(config.worker.jobCgroups, workerLog);
  const spool = createSpool(config.worker.spoolDirectory, workerLog);
  addPool(metrics, db.poolUse);
  addRedis(metrics, () => redis.status === 'ready');
  const isDatabaseUp = addBacklog(metrics, () => readBacklog(db));
  let isWorking = false;
  // Before anything is waited for: probes are asked from the first moment.
  await serveProbes({
    config: config.metrics,
    render: () => metrics.metrics(),
    isReady: async () => isWorking && (await isDatabaseUp()),
    log: workerLog,
  });
  await Promise.all([awaitSchema(db, workerLog), awaitRedis(redis, REDIS_START_MS)]);

  const clock = createDatabaseClock();
  const askedAtMs = monotonicMs();
  clock.observe(await readNowMs(db), askedAtMs);
  const { prefix } = config.redis;
  const registry = createWorkerRegistry(redis, prefix);
  const wakeUps = createWakeUps(redis, prefix);

  const outputBytesMax = Math.min(config.worker.outputBytesMax, await outputBytesFitting(db));
  if (outputBytesMax < config.worker.outputBytesMax)
    workerLog.warn(
      { outputBytesMax },
      "Less output is kept than is set: more does not fit the database's max_allowed_packet",
    );

  const { leaseMs } = config.worker;
  // Two renewals: a late one is no outage.
  const databaseContact = createDatabaseContact((leaseMs * 2) / 3, monotonicMs);
  const sender = createCallbackSender(config.callbacks);
  const deliverer = createDeliverer({ db, sender, clock, monotonic: monotonicMs, emit, log: workerLog });
  const worker = createWorker({
    db,
    deliverer,
    databaseContact,
    spool,
    registry,
    pool: createRunnerPool(config.worker.runners, workerLog, {
      umask: config.worker.jobUmask,
      slots: config.worker.slots,
      cgroups,
    }),
    clock,
    config: { ...config.worker, outputBytesMax },
    identity: { workerId, host: config.hostname, pid: process.pid, version: VERSION },
    jobUserOf,
    liveOutput: createLiveOutput(redis, prefix),
    wakeUps,
    hasWakeUps: () => redis.status === 'ready',
    emit,
    log: workerLog,
  });
  // A dead leader is replaced before the leases of its worker have expired.
  const termMs = leaseMs / 2;
  const election = config.scheduler.hasElection
    ? createElection({
        redisLock: createLeaderLock(redis, prefix),
        databaseLock: createDatabaseLeaderLock(db, config.database.name),
        termMs,
        monotonic: monotonicMs,
        emit,
      })
    : everyoneLeads;
  addWorker(metrics, {
    slots: config.worker.slots,
    busy: worker.busy,
    isQuiet: worker.isQuiet,
    isLeading: election.isTrusted,
    kept: spool.count,
  });
  const { tickMs, auditKeepDays, deliveryKeepDays } = config.scheduler;
  const { upForMs: databaseUpForMs } = databaseContact;
  const reaping = { db, registry, wakeUps, leaseMs, databaseUpForMs, monotonic: monotonicMs, emit };
  const runOnce = createLeaderPass({
    db,
    election,
    createReaper: () => createReaper(reaping),
    wakeUps,
    clock,
    tickMs,
    passMs: termMs / 3,
    emit,
  });
  const leader = createService({ name: 'leader', log: workerLog, runOnce });
  const housekeeping = createService({
    name: 'housekeeping',
    log: workerLog,
    runOnce: createHousekeeping({ db, election, tickMs, auditKeepDays, deliveryKeepDays }),
  });
  const listener = listenForWakeUps(redis, prefix, (woken) => {
    worker.wake();
    if (woken === 'all') deliverer.wake();
  });
  const cancels = listenForCancels(redis, prefix, worker.cancel);
  const commands = listenForCommands(redis, { prefix, host: config.hostname }, (command) => {
    workerLog.info({ asked: command }, 'The API asks it');
    if (command === 'stop') process.kill(process.pid, 'SIGTERM');
    else worker.setQuiet(command === 'quiesce');
  });

  // Before the first heartbeat: from then on it is to be stopped, not to vanish, and hears what it is asked.
  const isToStop = onStopSignals({ onSecond: worker.hurry });
  if (redis.status === 'ready')
    await Promise.race([commands.listening, delay(REDIS_START_MS, undefined, { ref: false })]);
  await worker.start();
  leader.start();
  housekeeping.start();
  isWorking = true;
  workerLog.info({ slots: config.worker.slots, runners: config.worker.runners }, 'The worker is ready');

  await isToStop;
  isWorking = false;
  workerLog.info('Draining: no new claims; running commands may finish');
  // At once: a pass of the leader may take long, and nothing is to be claimed meanwhile.
  const resigned = Promise.all([leader.stop(), housekeeping.stop()]).then(() => election.resign());
  await Promise.all([worker.drain(), resigned]);
  listener.close();
  commands.close();
  cancels.close();
  redis.disconnect();
  await db.close();
  workerLog.info('The worker has stopped');
  return 0;
}
