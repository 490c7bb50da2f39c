import { and, eq, inArray, sql } from 'drizzle-orm';
import type { Database } from './database.ts';
import { jobs } from './schema.ts';

export interface HeldLease {
  jobId: number;
  leaseToken: number;
}

/**
 * Extends this worker's leases and returns those that it holds no longer: their commands must be ended. A job's row that
 * another transaction holds is not waited for, or all the worker's leases would run out with it; nobody can take it over
 * meanwhile, and the next renewal extends it.
 */
export async function renewLeases(
  db: Database,
  { workerId, leaseMs, leases }: { workerId: string; leaseMs: number; leases: HeldLease[] },
): Promise<HeldLease[]> {
  if (leases.length === 0) return [];
  const ids = leases.map(({ jobId }) => jobId);
  const tokens = sql.join(
    leases.map(({ jobId, leaseToken }) => sql`WHEN ${jobId} THEN ${leaseToken}`),
    sql` `,
  );
  const held = and(
    inArray(jobs.id, ids),
    eq(jobs.state, 'leased'),
    eq(jobs.leaseOwner, workerId),
    sql`${jobs.leaseToken} = CASE ${jobs.id} ${tokens} END`,
  );
  return db.transact(async (tx) => {
    const free = await tx
      .select({ id: jobs.id })
      .from(jobs, { forceIndex: 'PRIMARY' })
      .where(held)
      .for('update', { skipLocked: true });
    if (free.length > 0) {
      const freeIds = free.map(({ id }) => id);
      await tx
        .update(jobs)
        .set({ leaseExpiresAt: sql`UTC_TIMESTAMP(6) + INTERVAL ${leaseMs * 1000} MICROSECOND` })
        .where(inArray(jobs.id, freeIds));
    }
    if (free.length === leases.length) return [];
    // A plain read: it neither waits nor minds who has locked what.
    const kept = await tx.select({ id: jobs.id }).from(jobs).where(held);
    const keptIds = new Set(kept.map(({ id }) => id));
    return leases.filter(({ jobId }) => !keptIds.has(jobId));
  });
}
