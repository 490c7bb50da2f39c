import type { DatabaseClock, Monotonic } from '../platform/clock.ts';
import type { Emit } from '../platform/events.ts';
import { jitter } from '../platform/service.ts';
import { type Claim, claimRuns } from '../store/claimRuns.ts';
import type { Database } from '../store/database.ts';
import { findNextDue } from '../store/findNextDue.ts';
import type { LeasedRun } from './runCommand.ts';

export interface ClaimLoopParts {
  db: Database;
  clock: DatabaseClock;
  monotonic: Monotonic;
  workerId: string;
  leaseMs: number;
  misfireGraceMs: number;
  /** The most to claim; 0: nothing now. */
  room(): number;
  launch(run: LeasedRun): void;
  /** Whether wake-ups can be heard: without them the poll is what notices new work. */
  hasWakeUps(): boolean;
  emit: Emit;
}

/** Poll with and without wake-ups: at most one statement a second while idle. */
const POLL_MS = 5000;
const POLL_ALONE_MS = 1000;
/** A claim is made so long before a job is due, about as long as it takes, and the command starts at its instant. */
const EARLY_MS = 25;
/** The clock's estimate may be a little ahead of the database: a claim that finds nothing yet would lose the instant. */
const DOUBT_MS = 5;
/** Due rows that somebody else has locked: they are looked at again, not waited for. */
const LOCKED_ROWS_MS = 25;

/** A timer may fire so much before its time. */
const TIMER_EARLY_MS = 2;

/**
 * One pass of the claim loop: takes what is due, and returns how long to sleep. A freed slot or a wake-up ends the sleep. One
 * that was slept to its end, with nothing known to be due, is followed by a look only: one statement instead of five.
 */
export function createClaimPass(parts: ClaimLoopParts): () => Promise<number> {
  let lookAtMs = Number.POSITIVE_INFINITY;
  const sleepMs = (dueMs: number, pollMs: number) => {
    lookAtMs = dueMs > pollMs ? parts.monotonic() + pollMs - TIMER_EARLY_MS : Number.POSITIVE_INFINITY;
    return Math.min(dueMs, pollMs);
  };
  return async () => {
    const pollMs = jitter(parts.hasWakeUps() ? POLL_MS : POLL_ALONE_MS);
    const limit = parts.room();
    if (limit === 0) return pollMs;
    if (parts.monotonic() >= lookAtMs) {
      const dueMs = await untilNextDue(parts);
      if (dueMs > 0) return sleepMs(dueMs, pollMs);
    }
    const { db, workerId, leaseMs, misfireGraceMs } = parts;
    const leasedAtMs = parts.monotonic();
    const claim = await claimRuns(db, { workerId, limit, leaseMs, misfireGraceMs, earlyMs: EARLY_MS + DOUBT_MS });
    const claimedAtMs = parts.monotonic();
    // First of all: the commands are on their way to a runner while this process tells of them.
    for (const run of claim.runs) {
      // By the claim's own time at the latest: the clock's estimate is wrong for a while when the database's clock has jumped.
      const latestMs = claimedAtMs + (run.dueAt.getTime() - claim.databaseNowMs);
      parts.launch({ ...run, leasedAtMs, startAtMs: Math.min(parts.clock.readingFrom(run.dueAt), latestMs) });
    }
    const durationMs = claimedAtMs - leasedAtMs;
    if (claim.examined > 0) parts.emit({ type: 'batch_claimed', count: claim.runs.length, durationMs });
    announce(claim, parts.emit);
    if (claim.examined === limit) return 0;
    const dueMs = await untilNextDue(parts);
    return sleepMs(dueMs > 0 ? dueMs : jitter(LOCKED_ROWS_MS), pollMs);
  };
}

/** Milliseconds until the first due job may be claimed, by the database's clock; not above 0 where one may be now. */
async function untilNextDue({ db, clock, monotonic }: ClaimLoopParts): Promise<number> {
  const askedAtMs = monotonic();
  const next = await findNextDue(db);
  if (!next) return Number.POSITIVE_INFINITY;
  clock.observe(next.databaseNowMs, askedAtMs);
  return Math.ceil(next.dueAt.getTime() - clock.now().getTime() - EARLY_MS);
}

function announce({ runs, misfires, broken, databaseNowMs }: Claim, emit: Emit): void {
  for (const { jobId, runId, leaseToken, scheduledFor, attempt } of runs) {
    // A retry's distance from its occurrence is no lag.
    const lagMs = scheduledFor && attempt === 1 ? databaseNowMs - scheduledFor.getTime() : null;
    emit({ type: 'run_claimed', jobId, runId, leaseToken, lagMs });
  }
  for (const { jobId, count, reason } of misfires) emit({ type: 'misfired', jobId, count, reason });
  for (const { jobId, error } of broken) emit({ type: 'schedule_broken', jobId, reason: String(error) });
}
