import { and, eq, isNull, lt, notInArray, sql } from 'drizzle-orm';
import { plan } from '../domain/plan.ts';
import type { ClaimedRun } from './claimRuns.ts';
import { affectedRows, type Database, type Transaction } from './database.ts';
import { giveUpLeases, type LeasedJob, lockLeased, NO_LEASE } from './giveUpLeases.ts';
import type { NewMisfire } from './insertMisfires.ts';
import { finishRuns } from './recordOutcome.ts';
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

/** `canceled`: its user did not want the run any more, which has ended so. `lost`: the lease was, nothing was written. */
export type Released = { result: 'released' } | { result: 'canceled'; misfire: NewMisfire | null } | { result: 'lost' };

/**
 * Gives back a lease whose command was never started: the run's row goes, and the occurrence is due again as if it had
 * not been claimed.
 */
export function releaseLease(db: Database, run: UnstartedRun): Promise<Released> {
  return db.transact(async (tx) => {
    const job = await lockLeased(tx, run);
    if (!job) return { result: 'lost' };
    const { id, outcome, cancelRequestedAt } = jobRuns;
    const isWanted = and(eq(id, run.runId), isNull(outcome), isNull(cancelRequestedAt));
    const removed = await tx.delete(jobRuns).where(isWanted);
    if (affectedRows(removed) !== 1) return endCanceled(tx, job, run);
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
    return { result: 'released' };
  });
}

/** Who asked for that was told that it will end. */
async function endCanceled(tx: Transaction, job: LeasedJob, run: UnstartedRun): Promise<Released> {
  const { runId, leaseToken } = run;
  const errorMessage = 'Canceled before it was started.';
  const at = new Date(job.nowMicros / 1000);
  const ended = { returnCode: 137, errorMessage, startedAt: at, finishedAt: at };
  const end = { runId, leaseToken, outcome: 'canceled' as const, ...ended };
  if (!(await finishRuns(tx, [end]))) return { result: 'lost' };
  const { durations, lags } = job;
  const canceled = { ...run, outcome: end.outcome };
  const [given] = await giveUpLeases(tx, [{ job, run: canceled, lastRun: at, durations, lags }], 'overlap');
  return { result: 'canceled', misfire: given?.misfire ?? null };
}
