import { and, eq, isNull, lt, notInArray, sql } from 'drizzle-orm';
import { plan } from '../domain/plan.ts';
import type { ClaimedRun } from './claimRuns.ts';
import { affectedRows, type Database } from './database.ts';
import { lockLeased, NO_LEASE } from './giveUpLeases.ts';
import { jobRuns, jobs } from './schema.ts';

export type UnstartedRun = Pick<ClaimedRun, 'jobId' | 'runId' | 'leaseToken' | 'trigger' | 'scheduledFor' | 'attempt'>;

/**
 * Leases of a worker that it does not know of: the connection broke when the claim had been committed and its answer had
 * not arrived. They have expired, so a late answer would start nothing any more.
 */
export async function findUnknownLeases(
  db: Database,
  workerId: string,
  knownRunIds: number[],
): Promise<UnstartedRun[]> {
  const { leaseToken, scheduledFor, trigger, attempt } = jobRuns;
  return db
    .select({ jobId: jobs.id, runId: jobRuns.id, leaseToken, scheduledFor, trigger, attempt })
    .from(jobs, { forceIndex: 'jobs_claim' })
    .innerJoin(jobRuns, eq(jobRuns.id, jobs.runId))
    .where(
      and(
        eq(jobs.state, 'leased'),
        eq(jobs.leaseOwner, workerId),
        lt(jobs.leaseExpiresAt, sql`UTC_TIMESTAMP(6)`),
        ...(knownRunIds.length > 0 ? [notInArray(jobRuns.id, knownRunIds)] : []),
      ),
    );
}

/**
 * Gives back a lease whose command was never started: the run's row goes, and the occurrence is due again as if it had
 * not been claimed. False: the lease was lost, nothing was written.
 */
export function releaseLease(db: Database, run: UnstartedRun): Promise<boolean> {
  return db.transact(async (tx) => {
    const job = await lockLeased(tx, run);
    if (!job) return false;
    const removed = await tx.delete(jobRuns).where(and(eq(jobRuns.id, run.runId), isNull(jobRuns.outcome)));
    if (affectedRows(removed) !== 1) return false;
    const { trigger, scheduledFor, attempt } = run;
    const isScheduled = trigger === 'schedule';
    const nextRun = isScheduled ? scheduledFor : job.nextRun;
    const standing = isScheduled
      ? plan({ enabled: job.enabled, nextRun }, new Date(job.nowMicros / 1000))
      : { state: 'due' as const, dueAt: sql`UTC_TIMESTAMP(6)`, trigger, scheduledFor, attempt };
    await tx
      .update(jobs)
      .set({ ...NO_LEASE, ...standing, nextRun })
      .where(and(eq(jobs.id, job.id), eq(jobs.leaseToken, run.leaseToken)));
    return true;
  });
}
