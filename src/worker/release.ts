import { setTimeout as delay } from 'node:timers/promises';
import { jitter } from '../platform/service.ts';
import { type Released, releaseLease, type UnstartedRun } from '../store/releaseLease.ts';
import type { WorkerParts } from './parts.ts';
import { type RecordParts, unlessLeaving } from './record.ts';

type ReleaseParts = Pick<WorkerParts, 'db' | 'spool' | 'emit' | 'log'> & Pick<RecordParts, 'retryMsMax' | 'leaving'>;

const RETRY_MS_MIN = 100;

/**
 * Gives back what was claimed and not started. Tries until the database has taken it; when the process has to go before,
 * it is on disk, and the next process gives it back, if it comes before the run is called lost.
 */
export async function release(run: UnstartedRun, parts: ReleaseParts): Promise<void> {
  const { db, spool, log, leaving } = parts;
  const { jobId, runId, leaseToken, trigger, scheduledFor, attempt } = run;
  let isKept = false;
  const keep = async () => {
    // Not the whole of a claimed run: it has the command, and the job's variables.
    isKept ||= await spool.keep({ unstarted: { jobId, runId, leaseToken, trigger, scheduledFor, attempt } });
    return isKept;
  };
  for (let failures = 0; ; failures++) {
    try {
      const released = await unlessLeaving(releaseLease(db, run), leaving, keep);
      if (released === 'left') return;
      announceReleased(run, released, parts);
      if (isKept) await spool.forget(run);
      return;
    } catch (error) {
      log.error({ err: error, jobId, runId, failures }, 'A lease could not be given back yet; it will be tried again');
      if ((await keep()) && leaving.aborted) return;
      const pauseMs = jitter(Math.min(RETRY_MS_MIN * 2 ** failures, parts.retryMsMax) / 1.5);
      await delay(pauseMs, undefined, leaving.aborted ? {} : { signal: leaving }).catch(() => {});
    }
  }
}

export function announceReleased(
  { jobId, runId }: UnstartedRun,
  released: Released,
  { emit }: Pick<WorkerParts, 'emit'>,
): void {
  if (released.result === 'released') emit({ type: 'lease_released', jobId, runId });
  if (released.result !== 'canceled') return;
  emit({ type: 'run_recorded', jobId, runId, outcome: 'canceled', durationMs: 0 });
  const { misfire } = released;
  if (misfire) emit({ type: 'misfired', jobId, count: misfire.count, reason: misfire.reason });
}
