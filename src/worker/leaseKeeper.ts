import { monotonicMs } from '../platform/clock.ts';
import { createService } from '../platform/service.ts';
import { readNowMs } from '../store/database.ts';
import { renewLeases } from '../store/renewLeases.ts';
import type { WorkerParts } from './parts.ts';
import type { RunningRuns } from './runningRuns.ts';

export interface LeaseKeeper {
  start(): void;
  stop(): Promise<void>;
}

type Parts = Pick<WorkerParts, 'db' | 'clock' | 'registry' | 'pool' | 'config' | 'identity' | 'emit' | 'log'> & {
  running: RunningRuns;
  isQuiet(): boolean;
};

/**
 * Renews leases and beats, each on its own, so that neither a slow database nor a slow Redis can starve the other. A
 * worker that reaches neither for nearly the length of its lease ends its commands before anyone else may take them over.
 */
export function createLeaseKeeper(parts: Parts): LeaseKeeper {
  const { config, running, log } = parts;
  const contact = { atMs: monotonicMs() };
  const periodMs = config.leaseMs / 6;
  const renewals = createService({ name: 'renew', log, runOnce: () => renew(parts, contact).then(() => 2 * periodMs) });
  const beats = createService({ name: 'heartbeat', log, runOnce: () => beat(parts, contact).then(() => periodMs) });
  // Not a pass of either: a pass that hangs must not keep the watch.
  const watch = () => {
    const silentMs = monotonicMs() - contact.atMs;
    if (silentMs < config.leaseMs - periodMs - Math.min(config.killGraceMs, config.leaseMs / 3)) return;
    if (running.all.size > 0) log.error({ silentMs }, 'Neither database nor Redis answers: ending the commands');
    loseAll(parts);
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    start() {
      contact.atMs = monotonicMs();
      renewals.start();
      beats.start();
      timer = setInterval(watch, periodMs);
    },
    async stop() {
      clearInterval(timer);
      await Promise.all([renewals.stop(), beats.stop()]);
      await parts.registry.remove(parts.identity.workerId);
    },
  };
}

interface Contact {
  atMs: number;
}

async function renew({ db, clock, config, identity, running, pool }: Parts, contact: Contact): Promise<void> {
  const askedAtMs = monotonicMs();
  clock.observe(await readNowMs(db), askedAtMs);
  const { workerId } = identity;
  const leases = [...running.all.values()];
  const lost = await renewLeases(db, { workerId, leaseMs: config.leaseMs, leases });
  contact.atMs = Math.max(contact.atMs, askedAtMs);
  const graceMs = Math.min(config.killGraceMs, config.leaseMs / 3);
  for (const { jobId } of lost) {
    // Recorded while the renewal was under way: not lost.
    const run = leases.find((held) => held.jobId === jobId);
    if (run && running.all.has(run.runId)) pool.kill(run.runId, 'lease_lost', graceMs);
  }
}

async function beat({ registry, identity, config, running, isQuiet }: Parts, contact: Contact): Promise<void> {
  const askedAtMs = monotonicMs();
  const runs = [...running.all.values()].map(({ runId, jobId, scheduledFor }) => ({
    runId,
    jobId,
    scheduledFor: scheduledFor?.toISOString() ?? null,
  }));
  const heartbeat = { ...identity, slots: config.slots, busy: runs.length, isQuiet: isQuiet() };
  const isTaken = await registry.beat(heartbeat, runs, config.leaseMs / 2);
  if (isTaken) contact.atMs = Math.max(contact.atMs, askedAtMs);
}

function loseAll({ running, pool, config }: Parts): void {
  for (const runId of running.all.keys())
    pool.kill(runId, 'lease_lost', Math.min(config.killGraceMs, config.leaseMs / 3));
}
