import { and, eq, isNotNull, isNull, sql } from 'drizzle-orm';
import { callbackFor } from '../domain/delivery.ts';
import { type MisfireReason, settleSteps } from '../domain/misfire.ts';
import type { Outcome } from '../domain/outcome.ts';
import { plan } from '../domain/plan.ts';
import { retryAt } from '../domain/retry.ts';
import { scheduleOf } from '../domain/schedule.ts';
import { addRun } from '../domain/statistics.ts';
import { affectedRows, type Database, NOW_MICROS, type Queryable } from './database.ts';
import { insertDelivery } from './deliveries.ts';
import { insertMisfires, type NewMisfire } from './insertMisfires.ts';
import { durationSums, lagSums } from './runningSums.ts';
import { jobRuns, jobs, runOutputs } from './schema.ts';

export interface RunOutcome {
  runId: number;
  jobId: number;
  leaseToken: number;
  scheduledFor: Date | null;
  attempt: number;
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
export type Recorded =
  | { result: 'recorded'; misfire: NewMisfire | null; dueAt: Date | null; hasCallback: boolean }
  | { result: 'lost' };

/**
 * Ends a run and gives its lease up, in one transaction and only where job id, run id and fencing token still match.
 * Lock order everywhere: the job's row, then its run's.
 */
export function recordOutcome(db: Database, outcome: RunOutcome): Promise<Recorded> {
  return db.transact(async (tx) => {
    const job = await lockLeased(tx, outcome);
    if (!job) return (await isRecorded(tx, outcome)) ? ALREADY_RECORDED : { result: 'lost' };
    if (!(await finishRun(tx, outcome))) return { result: 'lost' };
    await insertOutput(tx, outcome);
    const given = await giveUpLease(tx, job, {
      reason: 'overlap',
      set: statistics(job, outcome),
      run: outcome,
    });
    return { result: 'recorded', ...given };
  });
}

const ALREADY_RECORDED: Recorded = { result: 'recorded', misfire: null, dueAt: null, hasCallback: false };

/** An earlier try was committed, and its answer never arrived. */
async function isRecorded(tx: Queryable, { runId, leaseToken, outcome, finishedAt }: RunOutcome): Promise<boolean> {
  const same = and(
    eq(jobRuns.id, runId),
    eq(jobRuns.leaseToken, leaseToken),
    eq(jobRuns.outcome, outcome),
    eq(jobRuns.finishedAt, finishedAt),
  );
  return (await tx.$count(jobRuns, same)) === 1;
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
      successCallback: jobs.successCallback,
      failureCallback: jobs.failureCallback,
      callbackPolicy: jobs.callbackPolicy,
      toldSuccess: jobs.toldSuccess,
      startsAt: jobs.startsAt,
      endsAt: jobs.endsAt,
      maxRetries: jobs.maxRetries,
      retryDelaySeconds: jobs.retryDelaySeconds,
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
export type RunEnd = Omit<RunOutcome, 'jobId' | 'scheduledFor' | 'attempt' | 'output' | 'startedAt'> & {
  startedAt?: Date;
};

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
  /** Null: there is no run to try again. */
  run: Pick<RunOutcome, 'outcome' | 'attempt' | 'scheduledFor'> | null;
}

/**
 * Idle or due again, for a retry or the next occurrence: occurrences that passed during the run are settled by the job's
 * policy.
 */
export async function giveUpLease(
  tx: Queryable,
  job: LeasedJob,
  { reason, set, run }: GiveUp,
): Promise<{ misfire: NewMisfire | null; dueAt: Date | null; hasCallback: boolean }> {
  const now = new Date(job.nowMicros / 1000);
  const { nextRun, misfire } = job.enabled ? settleJob(job, now, reason) : { nextRun: job.nextRun, misfire: null };
  const wanted = run && retry({ ...job, nextRun }, run, now);
  const retried = wanted && !(await isCanceled(tx, job.runId)) ? wanted : null;
  const standing = retried ?? plan({ enabled: job.enabled, nextRun }, now);
  // A run that is tried again is not the end of it: the last try's is told.
  const isSuccess = run && !retried ? run.outcome === 'succeeded' : null;
  const url = isSuccess === null ? '' : callbackFor(job, isSuccess);
  await tx
    .update(jobs)
    .set({ ...set, ...NO_LEASE, ...standing, nextRun, ...(isSuccess !== null && { toldSuccess: isSuccess }) })
    .where(and(eq(jobs.id, job.id), eq(jobs.leaseToken, job.leaseToken)));
  await insertMisfires(tx, misfire ? [misfire] : []);
  const hasCallback = url !== '' && job.runId !== null;
  if (hasCallback) await insertDelivery(tx, { jobId: job.id, userId: job.userId, runId: job.runId ?? 0, url });
  return { misfire, dueAt: standing.dueAt, hasCallback };
}

/** A disabled job's occurrences are not tried again; its manual runs are. */
function retry(job: LeasedJob, run: NonNullable<GiveUp['run']>, now: Date) {
  const { attempt, scheduledFor } = run;
  const nextRun = job.enabled ? job.nextRun : null;
  const dueAt = job.enabled || scheduledFor === null ? retryAt({ ...job, nextRun }, run, now) : null;
  return dueAt && { state: 'due' as const, dueAt, trigger: 'retry' as const, scheduledFor, attempt: attempt + 1 };
}

/** The request may have come when the command was about to end by itself: it is not tried again all the same. */
async function isCanceled(tx: Queryable, runId: number | null): Promise<boolean> {
  const { id, cancelRequestedAt } = jobRuns;
  return (await tx.$count(jobRuns, and(eq(id, runId ?? 0), isNotNull(cancelRequestedAt)))) === 1;
}

export const NO_LEASE = {
  trigger: 'schedule',
  scheduledFor: null,
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
  const schedule = scheduleOf(job);
  const settled = settleSteps({ schedule, policy, catchUpMax, nextRun, now, graceMs: 0 }, GAP_STEPS_MAX);
  const { misfire } = settled;
  return {
    nextRun: settled.nextRun,
    misfire: misfire && { jobId: job.id, userId: job.userId, reason, policy, ...misfire },
  };
}

/**
 * The job's running sums, one run further; the row is locked, so what was read still holds. A retry's distance from its
 * occurrence is no lag.
 */
function statistics(job: LeasedJob, { startedAt, finishedAt, scheduledFor, attempt, outcome }: RunOutcome) {
  const duration = addRun(job.durations, finishedAt.getTime() - startedAt.getTime());
  const lag = scheduledFor && attempt === 1 ? addRun(job.lags, startedAt.getTime() - scheduledFor.getTime()) : job.lags;
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
