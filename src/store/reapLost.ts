import { and, eq, lt, sql } from 'drizzle-orm';
import type { Database, Queryable } from './database.ts';
import { giveUpLeases, lockLeasedJobs } from './giveUpLeases.ts';
import type { NewMisfire } from './insertMisfires.ts';
import { finishRuns } from './recordOutcome.ts';
import { jobRuns, jobs } from './schema.ts';

export interface ExpiredLease {
  jobId: number;
  leaseToken: number;
  workerId: string;
}

export type UnrenewedLease = ExpiredLease & { isExpired: boolean };

/**
 * Leases that have expired by the database's clock, or will within the time given because nobody renews them. Few rows are
 * leased at a time, so the claim's index serves.
 */
export async function findUnrenewedLeases(db: Database, withinMs: number): Promise<UnrenewedLease[]> {
  const rows = await db
    .select({
      jobId: jobs.id,
      leaseToken: jobs.leaseToken,
      workerId: jobs.leaseOwner,
      isExpired: sql<number>`${jobs.leaseExpiresAt} < UTC_TIMESTAMP(6)`,
    })
    .from(jobs, { forceIndex: 'jobs_claim' })
    .where(
      and(
        eq(jobs.state, 'leased'),
        lt(jobs.leaseExpiresAt, sql`UTC_TIMESTAMP(6) + INTERVAL ${withinMs * 1000} MICROSECOND`),
      ),
    );
  return rows.flatMap(({ workerId, isExpired, ...row }) =>
    workerId === null ? [] : [{ ...row, workerId, isExpired: isExpired === 1 }],
  );
}

export interface Reaped {
  runId: number | null;
  misfire: NewMisfire | null;
}

/**
 * Ends the run of an expired lease as lost and frees its job. Null: the lease was renewed, recorded or reaped meanwhile, or
 * another holds the job's row, for which the leases behind it do not wait.
 */
export function reapLost(db: Database, lease: ExpiredLease): Promise<Reaped | null> {
  return db.transact(async (tx) => {
    const [job] = await lockLeasedJobs(tx, [lease.jobId], { isWaiting: false });
    if (job?.leaseToken !== lease.leaseToken) return null;
    if (!job.leaseExpiresAt || job.leaseExpiresAt.getTime() * 1000 >= job.nowMicros) return null;
    const now = new Date(job.nowMicros / 1000);
    const run = job.runId === null ? null : await findRun(tx, job.runId);
    const lost = run && { ...run, outcome: 'lost' as const };
    const end = { job, run: lost, lastRun: run?.startedAt ?? null, durations: job.durations, lags: job.lags };
    const [given] = await giveUpLeases(tx, [end], 'lost');
    const misfire = given?.misfire ?? null;
    if (job.runId === null) return { runId: null, misfire };
    await finishRuns(tx, [
      {
        runId: job.runId,
        leaseToken: lease.leaseToken,
        outcome: 'lost',
        returnCode: RETURN_CODE_UNKNOWN,
        errorMessage:
          'Lost: its worker stopped answering and the lease expired. Whether the command finished is not known.',
        finishedAt: now,
      },
    ]);
    return { runId: job.runId, misfire };
  });
}

async function findRun(tx: Queryable, id: number) {
  const { startedAt, scheduledFor, attempt } = jobRuns;
  const [run] = await tx.select({ startedAt, scheduledFor, attempt }).from(jobRuns).where(eq(jobRuns.id, id));
  return run ?? null;
}

/** Clients expect a number; no exit status is negative. */
const RETURN_CODE_UNKNOWN = -1;
