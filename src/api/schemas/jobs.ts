import { summarize } from '../../domain/statistics.ts';
import { formatInZone } from '../../domain/timezone.ts';
import type { Job } from '../../store/jobs.ts';
import type { Run } from '../../store/runs.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';
import { DateTime, Float } from './common.ts';

const statistic = Float.nullable().openapi({ description: 'Seconds, over the finished runs' });

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
  })
  .openapi('JobIn');

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
    is_manual: run.trigger === 'manual',
    created_at: formatInZone(run.createdAt, timezone),
    updated_at: formatInZone(run.updatedAt, timezone),
  };
}

export const DateTimeArray = z.array(DateTime).openapi('DateTimeArray');
export const OccurrenceMessage = envelopeOf(DateTimeArray, 'OccurrenceMessage');
