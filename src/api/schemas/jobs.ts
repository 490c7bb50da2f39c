import { CALLBACK_POLICIES } from '../../domain/delivery.ts';
import { LENGTH_MAX, NEW_JOB, RANGES } from '../../domain/job.ts';
import { MISFIRE_POLICIES, MISFIRE_REASONS } from '../../domain/misfire.ts';
import { summarize } from '../../domain/statistics.ts';
import { formatInZone } from '../../domain/timezone.ts';
import type { Job } from '../../store/jobs.ts';
import type { MisfireRow } from '../../store/listMisfires.ts';
import type { FullRun, Run } from '../../store/runs.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';
import { DateTime, Float } from './common.ts';

const statistic = Float.nullable().openapi({ description: 'Seconds, over the finished runs' });

const within = ([minimum, maximum]: readonly [number, number], description: string) =>
  z.int().optional().openapi({ minimum, maximum, description });

/** What is new beside the contract: in an answer only where it differs from its default. */
const newFields = {
  description: z.string().optional().openapi({ maxLength: LENGTH_MAX.description }),
  timeout_seconds: within(RANGES.timeoutSeconds, 'A run is ended after so long; 0: never'),
  max_retries: within(RANGES.maxRetries, 'How often a run that failed, timed out or was lost is tried again'),
  retry_delay_seconds: within(
    RANGES.retryDelaySeconds,
    'Before the first retry: 60. It doubles with each, up to an hour. An occurrence that comes first takes its place',
  ),
  misfire_policy: z.enum(MISFIRE_POLICIES).optional().openapi({
    description:
      'Occurrences that did not run on time: none runs late, the latest does (fire_once), or as many as catch_up_max',
  }),
  callback_policy: z.enum(CALLBACK_POLICIES).optional().openapi({
    description: 'Which ends of runs are told: every one, or only one that differs from the one before',
  }),
  catch_up_max: within(RANGES.catchUpMax, 'With catch_up: the most occurrences that run late'),
  env: z
    .record(z.string(), z.string())
    .optional()
    .openapi({ description: "Variables of the command's environment; names that begin with BJR_ are taken" }),
  working_directory: z.string().optional().openapi({
    maxLength: LENGTH_MAX.workingDirectory,
    description: "Where the command starts, an absolute path; the worker's JOB_DIRECTORY where none is given",
  }),
  starts_at: DateTime.optional().openapi({ description: 'It does not occur before' }),
  ends_at: DateTime.optional().openapi({ description: 'It does not occur after', example: '2036-11-24T10:00:00.000Z' }),
  keep_runs: within(RANGES.keepRuns, 'Finished runs that are kept; 0: all'),
  keep_days: within(RANGES.keepDays, 'Days for which finished runs are kept; 0: for ever'),
};

export const SingleJob = z
  .object({
    id: z.int(),
    name: z.string(),
    cron: z.string(),
    enabled: z.boolean(),
    command: z.string(),
    last_run: z.string().nullable().openapi({ description: 'Start of the last run; "" before the first' }),
    next_run: DateTime.optional(),
    success: z.boolean().openapi({ description: 'Of the last run' }),
    running: z.boolean(),
    timezone: z.string(),
    tags: z.array(z.string().nullable()),
    created_at: DateTime,
    updated_at: DateTime,
    success_callback: z.string().nullable(),
    failure_callback: z.string().nullable(),
    avg_run_duration: statistic,
    max_run_duration: statistic,
    min_run_duration: statistic,
    avg_run_duration_trend: statistic,
    avg_run_lag: statistic,
    max_run_lag: statistic,
    min_run_lag: statistic,
    avg_run_lag_trend: statistic,
    ...newFields,
  })
  .openapi('SingleJob');

export const SingleJobMessage = envelopeOf(SingleJob, 'SingleJobMessage');
export const JobArray = z.array(SingleJob).openapi('JobArray');
export const JobArrayMessage = envelopeOf(JobArray, 'JobArrayMessage');

export const JobIn = z
  .object({
    name: z.string().openapi({ example: 'Nightly backup', description: 'Unique for the user, ignoring case' }),
    cron: z.string().openapi({ example: '*/5 * * * *', description: 'Five fields, or six with seconds first' }),
    command: z.string().openapi({ example: 'echo hello', description: 'Run by bash unless it begins with #!' }),
    timezone: z.string().optional().openapi({ example: 'UTC' }),
    enabled: z.boolean().optional().openapi({ example: true }),
    tags: z.string().optional().openapi({ example: 'example,backup', description: 'Comma-separated; "" clears' }),
    success_callback: z.string().optional().openapi({ example: '' }),
    failure_callback: z.string().optional().openapi({ example: '' }),
    ...newFields,
  })
  .openapi('JobIn');

/** PATCH: what is sent is changed. */
export const JobPatchIn = JobIn.partial().openapi('JobPatchIn');

/** A job as the contract shows it. The store's words are not the contract's: here is where they meet. */
export function toSingleJob(job: Job, timezone: string, nextRun: Date | null): z.infer<typeof SingleJob> {
  const duration = summarize({
    count: job.durationCount,
    sumMs: job.durationSumMs,
    minMs: job.durationMinMs,
    maxMs: job.durationMaxMs,
    weightedMs: job.durationWeightedMs,
  });
  const lag = summarize({
    count: job.lagCount,
    sumMs: job.lagSumMs,
    minMs: job.lagMinMs,
    maxMs: job.lagMaxMs,
    weightedMs: job.lagWeightedMs,
  });
  return {
    id: job.id,
    name: job.name,
    cron: job.cron,
    enabled: job.enabled,
    command: job.command,
    last_run: job.lastRun ? formatInZone(job.lastRun, timezone) : '',
    ...(nextRun && { next_run: formatInZone(nextRun, timezone) }),
    success: job.success ?? false,
    running: job.state === 'leased',
    timezone: job.timezone,
    tags: job.tags,
    created_at: formatInZone(job.createdAt, timezone),
    updated_at: formatInZone(job.updatedAt, timezone),
    success_callback: job.successCallback,
    failure_callback: job.failureCallback,
    avg_run_duration: duration.average,
    max_run_duration: duration.max,
    min_run_duration: duration.min,
    avg_run_duration_trend: duration.trend,
    avg_run_lag: lag.average,
    max_run_lag: lag.max,
    min_run_lag: lag.min,
    avg_run_lag_trend: lag.trend,
    ...newFieldsOf(job, timezone),
  };
}

/** Undefined: left away when it is written as JSON. */
const unless = <T>(fallback: T, value: T) => (value === fallback ? undefined : value);

function newFieldsOf(job: Job, timezone: string) {
  return {
    description: unless(NEW_JOB.description, job.description),
    timeout_seconds: unless(NEW_JOB.timeoutSeconds, job.timeoutSeconds),
    max_retries: unless(NEW_JOB.maxRetries, job.maxRetries),
    retry_delay_seconds: unless(NEW_JOB.retryDelaySeconds, job.retryDelaySeconds),
    misfire_policy: unless(NEW_JOB.misfirePolicy, job.misfirePolicy),
    callback_policy: unless(NEW_JOB.callbackPolicy, job.callbackPolicy),
    catch_up_max: unless(NEW_JOB.catchUpMax, job.catchUpMax),
    env: Object.keys(job.env).length > 0 ? job.env : undefined,
    working_directory: unless(NEW_JOB.workingDirectory, job.workingDirectory),
    starts_at: job.startsAt ? formatInZone(job.startsAt, timezone) : undefined,
    ends_at: job.endsAt ? formatInZone(job.endsAt, timezone) : undefined,
    keep_runs: unless(NEW_JOB.keepRuns, job.keepRuns),
    keep_days: unless(NEW_JOB.keepDays, job.keepDays),
  };
}

export const SingleJobRun = z
  .object({
    id: z.int(),
    success: z.boolean().optional(),
    return_code: z.int().optional(),
    error_message: z.string().nullable(),
    stdout: z.string().nullable(),
    stderr: z.string().nullable(),
    start_time: DateTime,
    end_time: DateTime.optional(),
    scheduled_start_time: DateTime.nullable(),
    schedule_diff_in_seconds: z.int().nullable(),
    job_id: z.int(),
    is_manual: z.boolean(),
    created_at: DateTime,
    updated_at: DateTime,
  })
  .openapi('SingleJobRun', { description: 'A run under way has no success, return_code and end_time yet' });

/** A run by itself says more than one in a list, of which old clients know every field. */
export const FullJobRun = z
  .object({
    ...SingleJobRun.shape,
    attempt: z.int().optional().openapi({ description: 'The nth try; absent for the first' }),
    outcome: z
      .enum(['timed_out', 'canceled', 'lost'])
      .optional()
      .openapi({ description: 'How it ended, where that is more than success or failure' }),
    cancel_requested_at: DateTime.optional().openapi({ description: 'When it was canceled, while it still runs' }),
    stdout_truncated: z.boolean().optional(),
    stderr_truncated: z.boolean().optional(),
  })
  .openapi('FullJobRun');
export const FullJobRunMessage = envelopeOf(FullJobRun, 'FullJobRunMessage');

export function toFullJobRun(run: FullRun, timezone: string): z.infer<typeof FullJobRun> {
  const { attempt, outcome, cancelRequestedAt } = run;
  const isSpecial = outcome === 'timed_out' || outcome === 'canceled' || outcome === 'lost';
  return {
    ...toSingleJobRun(run, timezone),
    ...(attempt > 1 && { attempt }),
    ...(isSpecial && { outcome }),
    ...(cancelRequestedAt && !outcome && { cancel_requested_at: formatInZone(cancelRequestedAt, timezone) }),
    ...(run.stdoutTruncated && { stdout_truncated: true }),
    ...(run.stderrTruncated && { stderr_truncated: true }),
  };
}

export const JobRunArray = z.array(SingleJobRun).openapi('JobRunArray');
export const JobRunArrayMessage = envelopeOf(JobRunArray, 'JobRunArrayMessage');

export function toSingleJobRun(run: Run, timezone: string): z.infer<typeof SingleJobRun> {
  const isFinished = run.outcome !== null;
  const { scheduledFor, finishedAt } = run;
  return {
    id: run.id,
    ...(isFinished && { success: run.outcome === 'succeeded', return_code: run.returnCode ?? 0 }),
    error_message: isFinished ? (run.errorMessage ?? '') : null,
    stdout: isFinished ? (run.stdout ?? '') : null,
    stderr: isFinished ? (run.stderr ?? '') : null,
    start_time: formatInZone(run.startedAt, timezone),
    ...(isFinished && finishedAt && { end_time: formatInZone(finishedAt, timezone) }),
    scheduled_start_time: scheduledFor && formatInZone(scheduledFor, timezone),
    schedule_diff_in_seconds: scheduledFor && Math.floor((run.startedAt.getTime() - scheduledFor.getTime()) / 1000),
    job_id: run.jobId,
    is_manual: scheduledFor === null,
    created_at: formatInZone(run.createdAt, timezone),
    updated_at: formatInZone(run.updatedAt, timezone),
  };
}

export const DateTimeArray = z.array(DateTime).openapi('DateTimeArray');
export const OccurrenceMessage = envelopeOf(DateTimeArray, 'OccurrenceMessage');

export const Misfire = z
  .object({
    id: z.int(),
    job_id: z.int(),
    first_at: DateTime.openapi({ description: 'The first occurrence that did not run' }),
    last_at: DateTime.openapi({ description: 'The last of them' }),
    count: z.int(),
    reason: z.enum(MISFIRE_REASONS).openapi({
      description: "No worker took them (down), the job's own run was under way (overlap), or that run was lost",
    }),
    policy: z.enum(MISFIRE_POLICIES),
    created_at: DateTime,
  })
  .openapi('Misfire');
export const MisfireArrayMessage = envelopeOf(z.array(Misfire).openapi('MisfireArray'), 'MisfireArrayMessage');

export function toMisfire(row: MisfireRow, timezone: string): z.infer<typeof Misfire> {
  return {
    id: row.id,
    job_id: row.jobId,
    first_at: formatInZone(row.firstAt, timezone),
    last_at: formatInZone(row.lastAt, timezone),
    count: row.count,
    reason: row.reason,
    policy: row.policy,
    created_at: formatInZone(row.createdAt, timezone),
  };
}
