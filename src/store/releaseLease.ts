import { and, eq, isNull, sql } from 'drizzle-orm';
import { plan } from '../domain/plan.ts';
import type { ClaimedRun } from './claimRuns.ts';
import { affectedRows, type Database } from './database.ts';
import { lockLeased, NO_LEASE } from './recordOutcome.ts';
import { jobRuns, jobs } from './schema.ts';

/**
 * Gives back a lease whose command was never started: the run's row goes, and the occurrence is due again as if it had
 * not been claimed. False: the lease was lost, nothing was written.
 */
export function releaseLease(db: Database, run: ClaimedRun): Promise<boolean> {
  return db.transact(async (tx) => {
    const job = await lockLeased(tx, run);
    if (!job) return false;
    const removed = await tx.delete(jobRuns).where(and(eq(jobRuns.id, run.runId), isNull(jobRuns.outcome)));
    if (affectedRows(removed) !== 1) return false;
    const nextRun = run.scheduledFor ?? job.nextRun;
    const isManual = run.trigger === 'manual';
    const standing = isManual
      ? { state: 'due' as const, dueAt: sql`UTC_TIMESTAMP(6)` }
      : plan({ enabled: job.enabled, nextRun }, new Date(job.nowMicros / 1000));
    await tx
      .update(jobs)
      .set({ ...NO_LEASE, ...standing, nextRun, trigger: run.trigger, attempt: run.attempt })
      .where(and(eq(jobs.id, job.id), eq(jobs.leaseToken, run.leaseToken)));
    return true;
  });
}
