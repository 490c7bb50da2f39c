import type { Emit } from '../platform/events.ts';
import type { WakeUps } from '../redis/wakeUps.ts';
import type { WorkerRegistry } from '../redis/workers.ts';
import type { Database } from '../store/database.ts';
import { type ExpiredLease, findExpiredLeases, reapLost } from '../store/reapLost.ts';

interface ReapParts {
  db: Database;
  registry: WorkerRegistry;
  wakeUps: WakeUps;
  emit: Emit;
}

/**
 * Ends the runs of workers that are gone: the lease has expired by the database's clock and the heartbeat is gone from
 * Redis, or Redis cannot tell. Returns how many.
 */
export async function reap({ db, registry, wakeUps, emit }: ReapParts): Promise<number> {
  let count = 0;
  for (const lease of await findExpiredLeases(db)) {
    if (await registry.isAlive(lease.workerId)) continue;
    const reaped = await reapLost(db, lease);
    if (!reaped) continue;
    count += 1;
    report(lease, reaped, emit);
  }
  if (count > 0) await wakeUps.send();
  return count;
}

function report(
  lease: ExpiredLease,
  { runId, misfire }: NonNullable<Awaited<ReturnType<typeof reapLost>>>,
  emit: Emit,
) {
  const { jobId, workerId } = lease;
  emit({ type: 'run_reaped', jobId, runId, workerId });
  if (misfire) emit({ type: 'misfired', jobId, count: misfire.count, reason: misfire.reason });
}
