import { and, eq, isNull, sql } from 'drizzle-orm';
import { type MisfireReason, settleSteps } from '../domain/misfire.ts';
import type { Outcome } from '../domain/outcome.ts';
import { plan } from '../domain/plan.ts';
import { parseSchedule } from '../domain/schedule.ts';
import { addRun } from '../domain/statistics.ts';
import { affectedRows, type Database, NOW_MICROS, type Queryable } from './database.ts';
import { insertMisfires, type NewMisfire } from './insertMisfires.ts';
import { durationSums, lagSums } from './runningSums.ts';
import { jobRuns, jobs, runOutputs } from './schema.ts';

export interface RunOutcome {
  runId: number;
  jobId: number;
  leaseToken: number;
  scheduledFor: Date | null;
  outcome: Outcome;
  returnCode: number;
  errorMessage: string;
  startedAt: Date;
  finishedAt: Date;
  output: RunOutput;
}

export interface RunOutput {
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

/** `lost`: the lease has moved on or the run has ended otherwise; nothing was written. */
export type Recorded = { result: 'recorded'; misfire: NewMisfire | null; dueAt: Date | null } | { result: 'lost' };

/**
 * Ends a run and gives its lease up, in one transaction and only where job id, run id and fencing token still match.
 * Lock order everywhere: the job's row, then its run's.
 */
export function recordOutcome(db: Database, outcome: RunOutcome): Promise<Recorded> {
  return db.transact(async (tx) => {
    const job = await lockLeased(tx, outcome);
    if (!job) return { result: 'lost' };
    if (!(await finishRun(tx, outcome))) return { result: 'lost' };
    await insertOutput(tx, outcome);
    const { misfire, dueAt } = await giveUpLease(tx, job, { reason: 'overlap', set: statistics(job, outcome) });
    return { result: 'recorded', misfire, dueAt };
  });
}

export type LeasedJob = NonNullable<Awaited<ReturnType<typeof lockLeased>>>;

/** The job's row, locked, if it is still leased under this token. */
export async function lockLeased(tx: Queryable, { jobId, leaseToken }: { jobId: number; leaseToken: number }) {
  const [job] = await tx
    .select({
      id: jobs.id,
      userId: jobs.userId,
      cron: jobs.cron,
      timezone: jobs.timezone,
      enabled: jobs.enabled,
      misfirePolicy: jobs.misfirePolicy,
      catchUpMax: jobs.catchUpMax,
      nextRun: jobs.nextRun,
      leaseToken: jobs.leaseToken,
      runId: jobs.runId,
      leaseOwner: jobs.leaseOwner,
      leaseExpiresAt: jobs.leaseExpiresAt,
      durations: durationSums,
      lags: lagSums,
      nowMicros: NOW_MICROS,
    })
    .from(jobs)
    .where(and(eq(jobs.id, jobId), eq(jobs.state, 'leased'), eq(jobs.leaseToken, leaseToken)))
    .for('update');
  return job;
}

/** `startedAt` is left as it is where nobody knows it. */
export type RunEnd = Omit<RunOutcome, 'jobId' | 'scheduledFor' | 'output' | 'startedAt'> & { startedAt?: Date };

/** Writes the run's one terminal state. False: it has one already. */
export async function finishRun(tx: Queryable, end: RunEnd): Promise<boolean> {
  const { runId, leaseToken, outcome, returnCode, errorMessage, startedAt, finishedAt } = end;
  const started = startedAt && { startedAt };
  const result = await tx
    .update(jobRuns)
    .set({ outcome, returnCode, errorMessage, ...started, finishedAt, updatedAt: sql`UTC_TIMESTAMP(6)` })
    .where(and(eq(jobRuns.id, runId), eq(jobRuns.leaseToken, leaseToken), isNull(jobRuns.outcome)));
  return affectedRows(result) === 1;
}

async function insertOutput(tx: Queryable, { runId, output }: RunOutcome): Promise<void> {
  if (output.stdoutBytes + output.stderrBytes > 0) await tx.insert(runOutputs).values({ runId, ...output });
}

interface GiveUp {
  /** Why occurrences passed while the lease was held. */
  reason: MisfireReason;
  /** Further columns to write. */
  set: Record<string, unknown>;
}

/** Idle or due again: occurrences that passed during the run are settled by the job's policy. */
export async function giveUpLease(
  tx: Queryable,
  job: LeasedJob,
  { reason, set }: GiveUp,
): Promise<{ misfire: NewMisfire | null; dueAt: Date | null }> {
  const now = new Date(job.nowMicros / 1000);
  const { nextRun, misfire } = job.enabled ? settleJob(job, now, reason) : { nextRun: job.nextRun, misfire: null };
  const standing = plan({ enabled: job.enabled, nextRun }, now);
  await tx
    .update(jobs)
    .set({ ...set, ...standing, nextRun, ...NO_LEASE })
    .where(and(eq(jobs.id, job.id), eq(jobs.leaseToken, job.leaseToken)));
  await insertMisfires(tx, misfire ? [misfire] : []);
  return { misfire, dueAt: standing.dueAt };
}

export const NO_LEASE = {
  trigger: 'schedule',
  attempt: 1,
  leaseOwner: null,
  leaseExpiresAt: null,
  runId: null,
} as const;

/** 20,000 occurrences: a job of every second whose run took five hours. What is beyond is the next claim's to settle. */
const GAP_STEPS_MAX = 20;

function settleJob(job: LeasedJob, now: Date, reason: MisfireReason) {
  const { nextRun, misfirePolicy: policy, catchUpMax } = job;
  if (!nextRun) return { nextRun, misfire: null };
  const schedule = parseSchedule(job.cron, job.timezone);
  const settled = settleSteps({ schedule, policy, catchUpMax, nextRun, now, graceMs: 0 }, GAP_STEPS_MAX);
  const { misfire } = settled;
  return {
    nextRun: settled.nextRun,
    misfire: misfire && { jobId: job.id, userId: job.userId, reason, policy, ...misfire },
  };
}

/** The job's running sums, one run further; the row is locked, so what was read still holds. */
function statistics(job: LeasedJob, { startedAt, finishedAt, scheduledFor, outcome }: RunOutcome) {
  const duration = addRun(job.durations, finishedAt.getTime() - startedAt.getTime());
  const lag = scheduledFor ? addRun(job.lags, startedAt.getTime() - scheduledFor.getTime()) : job.lags;
  return {
    lastRun: startedAt,
    success: outcome === 'succeeded',
    durationCount: duration.count,
    durationSumMs: duration.sumMs,
    durationMinMs: duration.minMs,
    durationMaxMs: duration.maxMs,
    durationWeightedMs: duration.weightedMs,
    lagCount: lag.count,
    lagSumMs: lag.sumMs,
    lagMinMs: lag.minMs,
    lagMaxMs: lag.maxMs,
    lagWeightedMs: lag.weightedMs,
  };
}
