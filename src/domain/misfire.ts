import type { Schedule } from './schedule.ts';

/** What happens to occurrences that did not run on time. */
export const MISFIRE_POLICIES = ['skip', 'fire_once', 'catch_up'] as const;
export type MisfirePolicy = (typeof MISFIRE_POLICIES)[number];

/** Why they did not: no worker took them, the job's own run was under way, or that run was lost. */
export const MISFIRE_REASONS = ['down', 'overlap', 'lost'] as const;
export type MisfireReason = (typeof MISFIRE_REASONS)[number];

/** Occurrences looked at in one step: a gap of any length is worked off in steps of this size, each its own transaction. */
export const MISFIRE_STEP_MAX = 1000;

export interface Misfire {
  firstAt: Date;
  lastAt: Date;
  count: number;
}

/** `nextRun` may still lie in the past: then it is an occurrence that should run now, late. Null: no occurrence is left. */
export interface Settled {
  nextRun: Date | null;
  misfire: Misfire | null;
  /** False when the step's bound was reached and older occurrences may follow: settle again before anything runs. */
  isComplete: boolean;
}

export interface Overdue {
  schedule: Schedule;
  policy: MisfirePolicy;
  /** With `catch_up`: the most occurrences that are run late; older ones are misfires. */
  catchUpMax: number;
  nextRun: Date;
  now: Date;
  /** With `skip`: an occurrence at most this late still counts as on time. 0 where it passed during the job's own run. */
  graceMs: number;
}

/**
 * Decides which of the occurrences from `nextRun` to `now` still run and which are misfires.
 *
 * - `skip`: those later than the grace are misfires.
 * - `fire_once`: all but the latest are misfires.
 * - `catch_up`: all but the latest `catchUpMax` are misfires.
 */
export function settle(overdue: Overdue): Settled {
  const { schedule, nextRun, now } = overdue;
  if (nextRun > now) return { nextRun, misfire: null, isComplete: true };
  const keep = overdue.policy === 'catch_up' ? Math.max(1, overdue.catchUpMax) : 1;
  const passed = occurrencesUntil(schedule, nextRun, now, MISFIRE_STEP_MAX + keep);
  const isComplete = passed.length < MISFIRE_STEP_MAX + keep;
  const missed = overdue.policy === 'skip' ? lateThan(passed, overdue) : passed.slice(0, -keep);
  const last = missed.at(-1);
  if (!last) return { nextRun, misfire: null, isComplete };
  const misfire = { firstAt: nextRun, lastAt: last, count: missed.length };
  return { nextRun: passed[missed.length] ?? schedule.next(last), misfire, isComplete };
}

/** Settles a longer gap at once, `stepsMax` steps of it at the most. */
export function settleSteps(overdue: Overdue, stepsMax: number): Settled {
  let settled = settle(overdue);
  let { misfire } = settled;
  for (let step = 1; step < stepsMax && !settled.isComplete && settled.nextRun; step++) {
    settled = settle({ ...overdue, nextRun: settled.nextRun });
    misfire = join(misfire, settled.misfire);
  }
  return { ...settled, misfire };
}

function join(earlier: Misfire | null, later: Misfire | null): Misfire | null {
  if (!earlier || !later) return earlier ?? later;
  return { firstAt: earlier.firstAt, lastAt: later.lastAt, count: earlier.count + later.count };
}

function lateThan(passed: Date[], { now, graceMs }: Overdue): Date[] {
  const latestMissed = now.getTime() - graceMs;
  return passed.filter((occurrence) => occurrence.getTime() <= latestMissed);
}

function occurrencesUntil(schedule: Schedule, first: Date, until: Date, countMax: number): Date[] {
  const found: Date[] = [];
  for (let at: Date | null = first; at && at <= until && found.length < countMax; at = schedule.next(at))
    found.push(at);
  return found;
}
