import type { Outcome } from './outcome.ts';

/** The wait before the first retry of a job that names none. */
export const RETRY_DELAY_SECONDS = 60;
/** The series doubles up to an hour, or stays at the job's own delay where that is longer: 60, 120, 240 … 3600, 3600. */
const RETRY_DELAY_SECONDS_MAX = 3600;

export interface RetryPolicy {
  maxRetries: number;
  retryDelaySeconds: number;
}

/**
 * When a run that ended like this is tried again; null: it is not. A run that its user canceled is never tried again. Where
 * the job's next occurrence comes first, that occurrence is the next try: nothing is queued behind it.
 */
export function retryAt(
  job: RetryPolicy & { nextRun: Date | null },
  run: { outcome: Outcome; attempt: number },
  now: Date,
): Date | null {
  if (run.outcome === 'succeeded' || run.outcome === 'canceled' || run.attempt > job.maxRetries) return null;
  const at = new Date(now.getTime() + retryDelayMs(job, run.attempt));
  return job.nextRun && job.nextRun <= at ? null : at;
}

function retryDelayMs({ retryDelaySeconds }: RetryPolicy, attempt: number): number {
  const doubled = retryDelaySeconds * 2 ** Math.min(attempt - 1, 30);
  return Math.min(doubled, Math.max(retryDelaySeconds, RETRY_DELAY_SECONDS_MAX)) * 1000;
}
