import { isLost, type Silence } from '../domain/lease.ts';
import type { Monotonic } from '../platform/clock.ts';
import type { Emit } from '../platform/events.ts';
import type { WakeUps } from '../redis/wakeUps.ts';
import type { WorkerRegistry } from '../redis/workers.ts';
import type { Database } from '../store/database.ts';
import { type ExpiredLease, findUnrenewedLeases, reapLost } from '../store/reapLost.ts';

export interface ReaperParts {
  db: Database;
  registry: Pick<WorkerRegistry, 'isAlive'>;
  wakeUps: WakeUps;
  leaseMs: number;
  /** For how long the database has answered this process without a break, milliseconds. */
  databaseUpForMs(): number;
  monotonic: Monotonic;
  emit: Emit;
}

/**
 * Ends the runs of workers that are gone: the lease has expired by the database's clock and the heartbeat has been gone
 * from Redis for a while, or Redis cannot tell. What it remembers between passes is for how long; a new leader begins anew,
 * with a reaper of its own. A pass returns how many it ended.
 */
export function createReaper(parts: ReaperParts): () => Promise<number> {
  const { db, registry, wakeUps, leaseMs, monotonic, emit } = parts;
  let missedSince = new Map<string, number>();
  let awaySinceMs: number | null = null;

  /**
   * Looks at each worker once. A Redis that comes back may be empty: from then on heartbeats are missed anew. Where there is
   * nobody to look for it is not asked, and for how long it has been away is not known any more.
   */
  const look = async (workerIds: Set<string>) => {
    const missed = new Map<string, number>();
    if (workerIds.size === 0) awaySinceMs = null;
    for (const workerId of workerIds) {
      const isAlive = await registry.isAlive(workerId);
      awaySinceMs = isAlive === null ? (awaySinceMs ?? monotonic()) : null;
      if (isAlive === false) missed.set(workerId, missedSince.get(workerId) ?? monotonic());
    }
    missedSince = missed;
  };

  const silenceOf = (workerId: string): Silence => {
    const nowMs = monotonic();
    const since = (startMs: number | null | undefined) => (typeof startMs === 'number' ? nowMs - startMs : null);
    return {
      missedForMs: since(missedSince.get(workerId)),
      redisAwayForMs: since(awaySinceMs),
      databaseUpForMs: parts.databaseUpForMs(),
    };
  };

  return async () => {
    // Before they expire: by then it is known for how long their workers have been missed.
    const leases = await findUnrenewedLeases(db, leaseMs / 2);
    await look(new Set(leases.map(({ workerId }) => workerId)));
    let count = 0;
    for (const lease of leases) {
      if (!lease.isExpired || !isLost(silenceOf(lease.workerId), leaseMs)) continue;
      const reaped = await reapLost(db, lease);
      if (!reaped) continue;
      count += 1;
      report(lease, reaped, emit);
    }
    if (count > 0) await wakeUps.send('all');
    return count;
  };
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
