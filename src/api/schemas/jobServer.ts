import { formatInZone } from '../../domain/timezone.ts';
import type { Heartbeat } from '../../redis/workers.ts';
import { averageLagOf, averageRuntimeOf, type TodaysStatistics } from '../../services/jobServer.ts';
import type { JobStat as StatRow } from '../../store/statistics.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';
import { DateTime, Float } from './common.ts';

const seconds = Float.openapi({ description: 'Seconds' });
const wholeSeconds = z.int().openapi({ description: 'Seconds' });

export const JobStat = z
  .object({
    runs: z.int().openapi({ description: 'Finished runs that started in the period' }),
    failed: z.int(),
    job_count: z.int().openapi({ description: 'Jobs that ran' }),
    avg_runtime: seconds,
    max_runtime: seconds,
    min_runtime: seconds,
    total_jobs: z.int(),
    total_enabled: z.int(),
    avg_job_lag: seconds,
    max_job_lag: wholeSeconds,
    min_job_lag: wholeSeconds,
    period: z.string().openapi({ example: 'minute' }),
    start_dt: DateTime,
    end_dt: DateTime,
    created_at: DateTime,
    updated_at: DateTime,
  })
  .openapi('JobStat');
export const JobStatMessage = envelopeOf(z.array(JobStat).openapi('JobStatArray'), 'JobStatMessage');

export function toJobStat(row: StatRow, timezone: string): z.infer<typeof JobStat> {
  return {
    runs: row.runs,
    failed: row.failed,
    job_count: row.jobCount,
    avg_runtime: averageRuntimeOf(row),
    max_runtime: row.durationMaxMs / 1000,
    min_runtime: row.durationMinMs / 1000,
    total_jobs: row.totalJobs,
    total_enabled: row.enabledJobs,
    avg_job_lag: averageLagOf(row),
    max_job_lag: Math.round(row.lagMaxMs / 1000),
    min_job_lag: Math.round(row.lagMinMs / 1000),
    period: row.period,
    start_dt: formatInZone(row.startAt, timezone),
    end_dt: formatInZone(row.endAt, timezone),
    created_at: formatInZone(row.createdAt, timezone),
    updated_at: formatInZone(row.updatedAt, timezone),
  };
}

const trend = Float.openapi({ description: "Slope over the day's minutes, a minute" });

export const TodaysStats = z
  .object({
    total_jobs: z.int(),
    total_jobs_trend: trend,
    enabled_jobs: z.int(),
    enabled_jobs_trend: trend,
    run_jobs: z.int(),
    run_jobs_trend: trend,
    failed_jobs: z.int(),
    failed_jobs_trend: trend,
    avg_job_runtime: seconds,
    avg_job_runtime_trend: trend,
    max_job_runtime: seconds,
    max_job_runtime_trend: trend,
    min_job_runtime: seconds,
    min_job_runtime_trend: trend,
    avg_job_lag: seconds,
    avg_job_lag_trend: trend,
    max_job_lag: seconds,
    max_job_lag_trend: trend,
    min_job_lag: seconds,
    min_job_lag_trend: trend,
  })
  .openapi('TodaysStats');
export const TodaysStatsMessage = envelopeOf(TodaysStats, 'TodaysStatsMessage');

export function toTodaysStats(today: TodaysStatistics): z.infer<typeof TodaysStats> {
  return {
    total_jobs: today.totalJobs.value,
    total_jobs_trend: today.totalJobs.trend,
    enabled_jobs: today.enabledJobs.value,
    enabled_jobs_trend: today.enabledJobs.trend,
    run_jobs: today.runs.value,
    run_jobs_trend: today.runs.trend,
    failed_jobs: today.failed.value,
    failed_jobs_trend: today.failed.trend,
    avg_job_runtime: today.avgRuntime.value,
    avg_job_runtime_trend: today.avgRuntime.trend,
    max_job_runtime: today.maxRuntime.value,
    max_job_runtime_trend: today.maxRuntime.trend,
    min_job_runtime: today.minRuntime.value,
    min_job_runtime_trend: today.minRuntime.trend,
    avg_job_lag: today.avgLag.value,
    avg_job_lag_trend: today.avgLag.trend,
    max_job_lag: today.maxLag.value,
    max_job_lag_trend: today.maxLag.trend,
    min_job_lag: today.minLag.value,
    min_job_lag_trend: today.minLag.trend,
  };
}

export const BusyThreadCountMessage = envelopeOf(
  z.object({}).openapi({
    description: '`busy_thread_count` and `thread_count` over all workers, and `workers`, each with its own',
    additionalProperties: true,
    example: {
      busy_thread_count: 1,
      thread_count: 10,
      workers: [{ host: 'worker-1', pid: 42, busy: 1, threads: 10, quiet: false, version: '1.0.0' }],
    },
  }),
  'BusyThreadCountMessage',
);

export function toBusyThreadCount(workers: Heartbeat[]) {
  const sum = (of: (worker: Heartbeat) => number) => workers.reduce((total, worker) => total + of(worker), 0);
  return {
    busy_thread_count: sum(({ busy }) => busy),
    thread_count: sum(({ slots }) => slots),
    workers: workers.map(({ host, pid, busy, slots, isQuiet, version }) => ({
      host,
      pid,
      busy,
      threads: slots,
      quiet: isQuiet,
      version,
    })),
  };
}
