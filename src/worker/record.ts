import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../platform/log.ts';
import { jitter } from '../platform/service.ts';
import type { Recorded, RunOutcome } from '../store/recordOutcome.ts';
import type { WorkerParts } from './parts.ts';
import type { RecordInGroups } from './recordGroup.ts';

export type RecordParts = Pick<WorkerParts, 'spool' | 'emit' | 'log' | 'deliverer'> & {
  recordInGroups: RecordInGroups;
  /** The longest pause between tries: a quarter of the lease, so that several fall into it once the database is back. */
  retryMsMax: number;
  /** Aborted when the process has to go: what is on disk is left to the next one. */
  leaving: AbortSignal;
};

/** What takes longer is kept on disk meanwhile; a statement that hangs does not fail. */
const KEEP_AFTER_MS = 1000;
const RETRY_MS_MIN = 100;

/**
 * Tries until the database has taken the outcome or said that the lease is lost: an outage costs none. Returns when the
 * job is due next, if that is near.
 */
export async function record(outcome: RunOutcome, parts: RecordParts): Promise<Date | null> {
  const { spool, leaving, log } = parts;
  const { jobId, runId } = outcome;
  let kept: Promise<boolean> = Promise.resolve(false);
  const keep = () => {
    kept = kept.then((isKept) => isKept || spool.keep({ outcome }));
    return kept;
  };
  const timer = setTimeout(() => void keep(), KEEP_AFTER_MS);
  try {
    for (let failures = 0; ; failures++) {
      try {
        const recorded = await unlessLeaving(parts.recordInGroups(outcome), leaving, keep);
        if (recorded === 'left') return leaveOnDisk(outcome, log);
        announce(outcome, recorded, parts);
        if (recorded.result === 'recorded' && recorded.hasCallback) parts.deliverer.wake();
        if (await kept) await spool.forget(outcome);
        return recorded.result === 'recorded' ? recorded.dueAt : null;
      } catch (error) {
        log.error(
          { err: error, jobId, runId, failures },
          'The outcome could not be recorded yet; it will be tried again',
        );
        if ((await keep()) && leaving.aborted) return leaveOnDisk(outcome, log);
        const pauseMs = jitter(Math.min(RETRY_MS_MIN * 2 ** failures, parts.retryMsMax) / 1.5);
        // With a full disk and no database it stays, and goes on trying.
        await delay(pauseMs, undefined, leaving.aborted ? {} : { signal: leaving }).catch(() => {});
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

function leaveOnDisk({ jobId, runId }: RunOutcome, log: Log): null {
  log.warn({ jobId, runId }, 'The outcome is left on disk: the next worker here records it');
  return null;
}

/** 'left': the process has to go, the database has had its chance, and what it did not take is on disk. */
export async function unlessLeaving<T>(work: Promise<T>, leaving: AbortSignal, keep: () => Promise<boolean>) {
  const { promise: left, resolve } = Promise.withResolvers<'left'>();
  let timer: NodeJS.Timeout | undefined;
  const leave = () => {
    timer = setTimeout(() => void keep().then((isKept) => isKept && resolve('left')), KEEP_AFTER_MS);
  };
  if (leaving.aborted) leave();
  else leaving.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, left]);
  } finally {
    clearTimeout(timer);
    leaving.removeEventListener('abort', leave);
  }
}

/** The log's lines of a recorded run, or of a refused one. */
export function announce(outcome: RunOutcome, recorded: Recorded, { emit }: Pick<RecordParts, 'emit'>): void {
  const { jobId, runId, leaseToken } = outcome;
  if (recorded.result === 'lost') {
    emit({ type: 'lease_lost', jobId, runId, leaseToken });
    return;
  }
  const durationMs = outcome.finishedAt.getTime() - outcome.startedAt.getTime();
  emit({ type: 'run_recorded', jobId, runId, outcome: outcome.outcome, durationMs });
  const { misfire } = recorded;
  if (misfire) emit({ type: 'misfired', jobId, count: misfire.count, reason: misfire.reason });
}
