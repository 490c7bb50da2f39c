import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../platform/clock.ts';
import { createService } from '../platform/service.ts';
import type { ClaimedRun } from '../store/claimRuns.ts';
import { releaseLease } from '../store/releaseLease.ts';
import { createClaimPass } from './claimLoop.ts';
import { createLeaseKeeper } from './leaseKeeper.ts';
import type { WorkerParts } from './parts.ts';
import { runCommand } from './runCommand.ts';
import { createRunningRuns } from './runningRuns.ts';

/** The coordinator: claim → execute → record, with leases and heartbeats kept up until the last command is gone. */
export interface Worker {
  start(): Promise<void>;
  /** There may be something to claim. */
  wake(): void;
  /** No new claims; running commands finish up to the drain's deadline, then their trees are ended and recorded. */
  drain(): Promise<void>;
  /** Cuts a drain short: the deadline is now. */
  hurry(): void;
}

export function createWorker(parts: WorkerParts): Worker {
  const { config, log, emit, pool, db } = parts;
  const running = createRunningRuns(config.slots);
  const deadline = new AbortController();
  let isDraining = false;

  const launch = (run: ClaimedRun) => {
    running.add(run);
    if (isDraining) void release(run);
    else void execute(run);
  };

  const execute = (run: ClaimedRun) =>
    runCommand(run, parts).then((dueAt) => {
      running.remove(run.runId);
      // A slot is free, or the job is due again: the loop decides which matters.
      if (running.free() === 1 || dueAt) claims.wake();
    });

  const release = async (run: ClaimedRun) => {
    const isReleased = await releaseLease(db, run).catch((error: unknown) => log.error({ err: error }, 'No release'));
    if (isReleased) emit({ type: 'lease_released', jobId: run.jobId, runId: run.runId });
    running.remove(run.runId);
  };

  const claims = createService({
    name: 'claim',
    log,
    runOnce: createClaimPass({
      db,
      clock: parts.clock,
      monotonic: monotonicMs,
      workerId: parts.identity.workerId,
      leaseMs: config.leaseMs,
      misfireGraceMs: config.misfireGraceMs,
      freeSlots: running.free,
      launch,
      hasWakeUps: parts.hasWakeUps,
      emit,
    }),
  });
  const leases = createLeaseKeeper({ ...parts, running, isQuiet: () => isDraining });

  const endCommands = () => {
    for (const runId of running.all.keys()) pool.kill(runId, 'drained', config.killGraceMs);
  };

  return {
    async start() {
      // A command that waits for its runner to load would start late.
      await pool.ready();
      leases.start();
      claims.start();
    },
    wake: claims.wake,
    async drain() {
      isDraining = true;
      await claims.stop();
      const isLate = delay(config.drainTimeoutMs, true, { signal: deadline.signal }).catch(() => true);
      if (await Promise.race([isLate, running.whenEmpty()])) endCommands();
      await running.whenEmpty();
      deadline.abort();
      await leases.stop();
      await pool.close();
    },
    hurry: () => deadline.abort(),
  };
}
