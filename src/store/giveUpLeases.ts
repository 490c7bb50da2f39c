import { and, eq, inArray, isNotNull } from 'drizzle-orm';
import { callbackFor } from '../domain/delivery.ts';
import { type MisfireReason, settleSteps } from '../domain/misfire.ts';
import type { Outcome } from '../domain/outcome.ts';
import { plan } from '../domain/plan.ts';
import { retryAt } from '../domain/retry.ts';
import { type Schedule, scheduleOf } from '../domain/schedule.ts';
import type { RunningSums } from '../domain/statistics.ts';
import { NOW_MICROS, type Queryable, type Transaction } from './database.ts';
import { insertDeliveries } from './deliveries.ts';
import { insertMisfires, type NewMisfire } from './insertMisfires.ts';
import { type Column, instantCell, rowsParameter } from './rowsParameter.ts';
import { durationSums, lagSums } from './runningSums.ts';
import { jobRuns, jobs } from './schema.ts';

export type LeasedJob = Awaited<ReturnType<typeof lockLeasedJobs>>[number];

/**
 * Those of the jobs that are leased, locked in the order of their keys whatever their tokens are: compare them. `isWaiting`:
 * rows that another transaction holds are waited for, not passed over. The primary key is named because few rows are leased:
 * by the claim's index all of them would be locked.
 */
export function lockLeasedJobs(tx: Queryable, jobIds: number[], { isWaiting }: { isWaiting: boolean }) {
  return tx
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
      leaseExpiresAt: jobs.leaseExpiresAt,
      durations: durationSums,
      lags: lagSums,
      nowMicros: NOW_MICROS,
    })
    .from(jobs, { forceIndex: 'PRIMARY' })
    .where(and(inArray(jobs.id, jobIds), eq(jobs.state, 'leased')))
    .for('update', isWaiting ? {} : { skipLocked: true });
}

/** The job's row, locked, if it is still leased under this token. */
export async function lockLeased(
  tx: Queryable,
  { jobId, leaseToken }: { jobId: number; leaseToken: number },
): Promise<LeasedJob | undefined> {
  const [job] = await lockLeasedJobs(tx, [jobId], { isWaiting: true });
  return job?.leaseToken === leaseToken ? job : undefined;
}

/** The end of a locked job's lease. */
export interface LeaseEnd {
  job: LeasedJob;
  /** Null: there is no run to try again. */
  run: { outcome: Outcome; attempt: number; scheduledFor: Date | null } | null;
  /** When its last run started. */
  lastRun: Date | null;
  durations: RunningSums;
  lags: RunningSums;
}

export interface GivenUp {
  misfire: NewMisfire | null;
  dueAt: Date | null;
  hasCallback: boolean;
}

/**
 * Idle or due again, for a retry or the next occurrence: occurrences that passed during the run are settled by the job's
 * policy, with the reason given. As many statements for many jobs as for one.
 */
export async function giveUpLeases(tx: Transaction, ends: LeaseEnd[], reason: MisfireReason): Promise<GivenUp[]> {
  const canceled = await findCanceled(tx, ends);
  const decisions = ends.map((end) => decide(end, reason, canceled));
  await writeJobs(tx, decisions);
  await insertMisfires(
    tx,
    decisions.flatMap(({ misfire }) => misfire ?? []),
  );
  await insertDeliveries(
    tx,
    decisions.flatMap(({ delivery }) => delivery ?? []),
  );
  return decisions.map(({ misfire, standing, delivery }) => ({
    misfire,
    dueAt: standing.dueAt,
    hasCallback: delivery !== null,
  }));
}

/** A request may have come when the command was about to end by itself: its run is not tried again all the same. */
async function findCanceled(tx: Queryable, ends: LeaseEnd[]): Promise<Set<number>> {
  const mayRetry = ends.filter(({ job, run }) => run && run.outcome !== 'succeeded' && run.attempt <= job.maxRetries);
  const runIds = mayRetry.flatMap(({ job }) => job.runId ?? []);
  if (runIds.length === 0) return new Set();
  const { id, cancelRequestedAt } = jobRuns;
  const rows = await tx
    .select({ id })
    .from(jobRuns)
    .where(and(inArray(id, runIds), isNotNull(cancelRequestedAt)));
  return new Set(rows.map((row) => row.id));
}

type Decision = ReturnType<typeof decide>;

function decide(end: LeaseEnd, reason: MisfireReason, canceled: Set<number>) {
  const { job, run } = end;
  const now = new Date(job.nowMicros / 1000);
  const { nextRun, misfire } = job.enabled ? settleJob(job, now, reason) : { nextRun: job.nextRun, misfire: null };
  const isCanceled = job.runId !== null && canceled.has(job.runId);
  const retried = run && !isCanceled ? retry({ ...job, nextRun }, run, now) : null;
  const planned = plan({ enabled: job.enabled, nextRun }, now);
  const standing = retried ?? { ...planned, trigger: 'schedule' as const, scheduledFor: null, attempt: 1 };
  // A run that is tried again is not the end of it: the last try's is told.
  const isSuccess = run && !retried ? run.outcome === 'succeeded' : null;
  const url = isSuccess === null ? '' : callbackFor(job, isSuccess);
  const isTold = url !== '' && job.runId !== null;
  const delivery = isTold ? { jobId: job.id, userId: job.userId, runId: job.runId ?? 0, url } : null;
  return { end, nextRun, misfire, standing, toldSuccess: isSuccess ?? job.toldSuccess, delivery };
}

/** A disabled job's occurrences are not tried again; its manual runs are. */
function retry(job: LeasedJob, run: NonNullable<LeaseEnd['run']>, now: Date) {
  const { attempt, scheduledFor } = run;
  const nextRun = job.enabled ? job.nextRun : null;
  const dueAt = job.enabled || scheduledFor === null ? retryAt({ ...job, nextRun }, run, now) : null;
  return dueAt && { state: 'due' as const, dueAt, trigger: 'retry' as const, scheduledFor, attempt: attempt + 1 };
}

/** 20,000 occurrences: a job of every second whose run took five hours. What is beyond is the next claim's to settle. */
const GAP_STEPS_MAX = 20;

function settleJob(job: LeasedJob, now: Date, reason: MisfireReason) {
  const { nextRun, misfirePolicy: policy, catchUpMax } = job;
  const schedule = nextRun && readSchedule(job);
  if (!nextRun || !schedule) return { nextRun, misfire: null };
  const settled = settleSteps({ schedule, policy, catchUpMax, nextRun, now, graceMs: 0 }, GAP_STEPS_MAX);
  const { misfire } = settled;
  return {
    nextRun: settled.nextRun,
    misfire: misfire && { jobId: job.id, userId: job.userId, reason, policy, ...misfire },
  };
}

/** Null: it can no longer be read (its time zone was dropped, say). The run is recorded all the same; the next claim says so. */
function readSchedule(job: LeasedJob): Schedule | null {
  try {
    return scheduleOf(job);
  } catch {
    return null;
  }
}

export const NO_LEASE = {
  trigger: 'schedule',
  scheduledFor: null,
  attempt: 1,
  leaseOwner: null,
  leaseExpiresAt: null,
  runId: null,
} as const;

const sums = (what: 'duration' | 'lag', sumsOf: (end: LeaseEnd) => RunningSums): Record<string, Column<Decision>> => ({
  [`${what}_count`]: ['BIGINT', ({ end }) => sumsOf(end).count],
  [`${what}_sum_ms`]: ['BIGINT', ({ end }) => sumsOf(end).sumMs],
  [`${what}_min_ms`]: ['BIGINT', ({ end }) => sumsOf(end).minMs],
  [`${what}_max_ms`]: ['BIGINT', ({ end }) => sumsOf(end).maxMs],
  [`${what}_weighted_ms`]: ['DOUBLE', ({ end }) => sumsOf(end).weightedMs],
});

const WRITTEN: Record<string, Column<Decision>> = {
  state: ['VARCHAR(16)', ({ standing }) => standing.state],
  next_run: ['DATETIME(6)', ({ nextRun }) => instantCell(nextRun)],
  due_at: ['DATETIME(6)', ({ standing }) => instantCell(standing.dueAt)],
  trigger_kind: ['VARCHAR(16)', ({ standing }) => standing.trigger],
  scheduled_for: ['DATETIME(6)', ({ standing }) => instantCell(standing.scheduledFor)],
  attempt: ['INT', ({ standing }) => standing.attempt],
  last_run: ['DATETIME(6)', ({ end }) => instantCell(end.lastRun)],
  success: ['INT', ({ end }) => Number(end.run?.outcome === 'succeeded')],
  told_success: ['INT', ({ toldSuccess }) => (toldSuccess === null ? null : Number(toldSuccess))],
  ...sums('duration', ({ durations }) => durations),
  ...sums('lag', ({ lags }) => lags),
};
const DECISIONS = rowsParameter<Decision>('v', {
  id: ['BIGINT', ({ end }) => end.job.id],
  token: ['BIGINT', ({ end }) => end.job.leaseToken],
  ...WRITTEN,
});
const ASSIGNMENTS = Object.keys(WRITTEN).map((name) => `jobs.${name} = v.${name}`);
const GIVE_UP = `UPDATE ${DECISIONS.table}
  STRAIGHT_JOIN jobs FORCE INDEX (PRIMARY) ON jobs.id = v.id AND jobs.lease_token = v.token
  SET ${ASSIGNMENTS.join(', ')}, jobs.lease_owner = NULL, jobs.lease_expires_at = NULL, jobs.run_id = NULL`;

/** The rows are locked, so what was read of them still holds. */
async function writeJobs(tx: Transaction, decisions: Decision[]): Promise<void> {
  if (decisions.length > 0) await tx.write(GIVE_UP, [DECISIONS.encode(decisions)]);
}
