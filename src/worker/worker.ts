import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../platform/clock.ts';
import { createService } from '../platform/service.ts';
import { createClaimPass } from './claimLoop.ts';
import { createLeaseKeeper } from './leaseKeeper.ts';
import type { WorkerParts } from './parts.ts';
import { createRecordInGroups } from './recordGroup.ts';
import { release } from './release.ts';
import { type LeasedRun, runCommand } from './runCommand.ts';
import { createRunningRuns } from './runningRuns.ts';
import { settleLeft } from './settleLeft.ts';

/** Siblings on the same machine may die and leave something too. */
const SPOOL_PERIOD_MS = 30_000;
/** While no runner is ready. */
const NO_RUNNER_MS = 200;

/** The coordinator: claim → execute → record, with leases and heartbeats kept up until the last command is gone. */
export interface Worker {
  start(): Promise<void>;
  /** Claims nothing any more, or again; what runs goes on. */
  setQuiet(isQuiet: boolean): void;
  /** Runs under way. */
  busy(): number;
  /** Claims nothing: it has been told so, or is draining. */
  isQuiet(): boolean;
  /** Ends a run that its user does not want any more, if it is one of this worker's. */
  cancel(runId: number): void;
  /** There may be something to claim. */
  wake(): void;
  /** No new claims; running commands finish up to the drain's deadline, then their trees are ended and recorded. */
  drain(): Promise<void>;
  /** Cuts a drain short: the deadline is now. */
  hurry(): void;
}

export function createWorker(parts: WorkerParts): Worker {
  const { config, log, emit, pool, db } = parts;
  const running = createRunningRuns(config.slots, monotonicMs);
  const deadline = new AbortController();
  const leaving = new AbortController();
  const recordInGroups = createRecordInGroups(parts);
  let isDraining = false;
  let isQuiet = false;

  const launch = (run: LeasedRun) => {
    running.add(run);
    if (isDraining) void giveBack(run).then(() => running.remove(run.runId));
    else void execute(run);
  };

  /** One that ended may have made room where there was none. Not with each of them: mostly there is nothing to claim. */
  const makeRoom = (change: () => void) => {
    const hadRoom = running.room() > 0;
    change();
    if (!hadRoom && running.room() > 0) claims.wake();
  };

  const execute = (run: LeasedRun) => {
    const onEnded = (tookMs: number) => makeRoom(() => running.end(run.runId, tookMs));
    const own = { recordInGroups, onEnded, giveBack, retryMsMax: config.leaseMs / 4, leaving: leaving.signal };
    return runCommand(run, { ...parts, ...own }).then((dueAt) => {
      makeRoom(() => running.remove(run.runId));
      if (dueAt) claims.wake();
    });
  };

  const giveBack = async (run: LeasedRun) => {
    await release(run, { ...parts, retryMsMax: config.leaseMs / 4, leaving: leaving.signal });
    await parts.wakeUps.send('jobs');
  };

  const claimPass = createClaimPass({
    db,
    clock: parts.clock,
    monotonic: monotonicMs,
    workerId: parts.identity.workerId,
    leaseMs: config.leaseMs,
    misfireGraceMs: config.misfireGraceMs,
    room: () => (isQuiet ? 0 : running.room()),
    launch,
    hasWakeUps: parts.hasWakeUps,
    emit,
  });
  // A worker that can start nothing would fail fast, and so take most of what is due from those that can.
  const runOnce = () => (pool.isReady() ? claimPass() : Promise.resolve(NO_RUNNER_MS));
  const claims = createService({ name: 'claim', log, runOnce });
  const claimsNothing = () => isQuiet || isDraining;
  const leases = createLeaseKeeper({ ...parts, running, isQuiet: claimsNothing, leaving: leaving.signal });

  const spooled = createService({
    name: 'spool',
    log,
    retryMsMax: config.leaseMs / 4,
    runOnce: async () => {
      const count = await settleLeft(parts);
      if (count > 0) log.info({ count }, 'Settled what an earlier process had left on disk');
      return SPOOL_PERIOD_MS;
    },
  });

  const endCommands = () => {
    for (const runId of running.all.keys()) pool.kill(runId, 'drained', config.killGraceMs);
  };

  return {
    async start() {
      // A command that waits for its runner to load would start late.
      await pool.ready();
      const isSeen = leases.start();
      spooled.start();
      claims.start();
      parts.deliverer.start();
      await isSeen;
    },
    setQuiet(next) {
      isQuiet = next;
      leases.beat();
      claims.wake();
    },
    busy: () => running.busy(),
    isQuiet: claimsNothing,
    cancel(runId) {
      if (running.all.has(runId)) pool.kill(runId, 'canceled', config.killGraceMs);
    },
    wake: claims.wake,
    async drain() {
      isDraining = true;
      for (const runId of running.all.keys()) pool.withdraw(runId);
      leases.beat();
      await claims.stop();
      const isLate = delay(config.drainTimeoutMs, true, { signal: deadline.signal }).catch(() => true);
      if (await Promise.race([isLate, running.whenEmpty()])) {
        endCommands();
        leaving.abort();
      }
      await running.whenEmpty();
      deadline.abort();
      await spooled.stop();
      await parts.deliverer.stop();
      await leases.stop();
      await pool.close();
    },
    hurry: () => deadline.abort(),
  };
}
