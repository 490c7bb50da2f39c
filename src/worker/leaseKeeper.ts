import { heartbeatMs, lostGraceMs, silenceMaxMs } from '../domain/lease.ts';
import { monotonicMs } from '../platform/clock.ts';
import { createService } from '../platform/service.ts';
import { findCanceled } from '../store/cancelRun.ts';
import { readNowMs } from '../store/database.ts';
import { findUnknownLeases, releaseLease } from '../store/releaseLease.ts';
import { renewLeases } from '../store/renewLeases.ts';
import type { WorkerParts } from './parts.ts';
import { announceReleased } from './release.ts';
import type { RunningRuns } from './runningRuns.ts';

export interface LeaseKeeper {
  /** Resolves once the first heartbeat is written, or Redis has not taken it. */
  start(): Promise<void>;
  /** Something that the heartbeat says has changed. */
  beat(): void;
  stop(): Promise<void>;
}

type Parts = Pick<
  WorkerParts,
  'db' | 'databaseContact' | 'clock' | 'registry' | 'pool' | 'config' | 'identity' | 'emit' | 'log'
> & {
  running: RunningRuns;
  isQuiet(): boolean;
  /** Aborted when the process has to go. */
  leaving: AbortSignal;
};

/**
 * Renews leases and beats, each on its own, so that neither a slow database nor a slow Redis can starve the other. With
 * every contact the runners hear how long they may go on: of a worker that reaches neither for nearly the length of its
 * lease, or is frozen itself, they end the commands before anyone else may take the jobs over.
 */
export function createLeaseKeeper(parts: Parts): LeaseKeeper {
  const { config, log, databaseContact } = parts;
  const periodMs = config.leaseMs / 6;
  const retryMsMax = config.leaseMs / 6;
  let lastContactMs = monotonicMs();
  const contact = (askedAtMs: number) => {
    lastContactMs = Math.max(lastContactMs, askedAtMs);
    parts.pool.hold(lastContactMs + silenceMaxMs(config), lostGraceMs(config));
  };
  const renewals = createService({
    name: 'renew',
    log,
    retryMsMax,
    runOnce: async () => {
      const askedAtMs = monotonicMs();
      try {
        await renew(parts);
      } catch (error) {
        databaseContact.failed();
        throw error;
      }
      databaseContact.answered();
      contact(askedAtMs);
      return 2 * periodMs;
    },
  });
  const firstBeat = Promise.withResolvers<void>();
  const beats = createService({
    name: 'heartbeat',
    log,
    retryMsMax,
    runOnce: async () => {
      const askedAtMs = monotonicMs();
      if (await beat(parts)) contact(askedAtMs);
      firstBeat.resolve();
      return periodMs;
    },
  });
  return {
    start() {
      contact(monotonicMs());
      renewals.start();
      beats.start();
      return firstBeat.promise;
    },
    beat: beats.wake,
    async stop() {
      await Promise.all([renewals.stop(), beats.stop()]);
      await parts.registry.remove(parts.identity.workerId);
    },
  };
}

async function renew({ db, clock, config, identity, running, pool, emit, leaving }: Parts): Promise<void> {
  const askedAtMs = monotonicMs();
  clock.observe(await readNowMs(db), askedAtMs);
  const { workerId } = identity;
  const leases = [...running.all.values()];
  const lost = await renewLeases(db, { workerId, leaseMs: config.leaseMs, leases });
  // A message has told it, mostly; without Redis this does.
  for (const runId of await findCanceled(db, [...running.all.keys()])) pool.kill(runId, 'canceled', config.killGraceMs);
  for (const { jobId } of lost) {
    // Recorded while the renewal was under way: not lost.
    const run = leases.find((held) => held.jobId === jobId);
    if (run && running.all.has(run.runId)) pool.kill(run.runId, 'lease_lost', lostGraceMs(config));
  }
  // From then on outcomes are left on disk: their runs are not among these any more, but they did run.
  if (leaving.aborted) return;
  for (const run of await findUnknownLeases(db, workerId, [...running.all.keys()])) {
    announceReleased(run, await releaseLease(db, run), { emit });
  }
}

/** False where Redis did not take it. */
function beat({ registry, identity, config, running, isQuiet }: Parts): Promise<boolean> {
  const runs = [...running.all.values()].map(({ runId, jobId, scheduledFor }) => ({
    runId,
    jobId,
    scheduledFor: scheduledFor?.toISOString() ?? null,
  }));
  const heartbeat = { ...identity, slots: config.slots, busy: running.busy(), isQuiet: isQuiet() };
  return registry.beat(heartbeat, runs, heartbeatMs(config.leaseMs));
}
