/** The lengths of time that statistics are kept for. */
export const PERIODS = ['minute', 'hour', 'day', 'week'] as const;
export type Period = (typeof PERIODS)[number];

/** Their lengths, in milliseconds. */
const PERIOD_MS: Record<Period, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 };
/** Weeks begin on Monday; the epoch was a Thursday. */
const WEEK_OFFSET_MS = 4 * PERIOD_MS.day;

/** When the period around an instant begins, in UTC. */
export function periodStart(period: Period, at: Date): Date {
  const offsetMs = period === 'week' ? WEEK_OFFSET_MS : 0;
  const length = PERIOD_MS[period];
  return new Date(Math.floor((at.getTime() - offsetMs) / length) * length + offsetMs);
}

export function periodEnd(period: Period, start: Date): Date {
  return new Date(start.getTime() + PERIOD_MS[period]);
}

/** The least-squares slope of values at x = 0, 1, 2 …; 0 for fewer than two. */
export function slopeOf(values: number[]): number {
  const n = values.length;
  if (n < 2) return 0;
  const meanX = (n - 1) / 2;
  const above = values.reduce((sum, value, x) => sum + (x - meanX) * value, 0);
  return above / ((n * (n * n - 1)) / 12);
}

/** Running sums over a job's runs from which its averages and trend follow without reading the runs. */
export interface RunningSums {
  count: number;
  sumMs: number;
  minMs: number;
  maxMs: number;
  /** Σ n·y over the run number n = 1 … count. */
  weightedMs: number;
}

/** Seconds; null where there is no run. */
export interface Summary {
  average: number | null;
  max: number | null;
  min: number | null;
  trend: number | null;
}

/**
 * Averages and extremes in seconds, and the least-squares slope over run number in seconds a run. With x = 1 … n the sums
 * of x and x² have closed forms, so the slope needs only Σy and Σn·y:
 * slope = (12·Σny − 6·(n+1)·Σy) / (n·(n²−1)).
 */
export function summarize(sums: RunningSums): Summary {
  const n = sums.count;
  if (n === 0) return { average: null, max: null, min: null, trend: null };
  const slope = n === 1 ? 0 : (12 * sums.weightedMs - 6 * (n + 1) * sums.sumMs) / (n * (n * n - 1));
  return {
    average: sums.sumMs / n / 1000,
    max: sums.maxMs / 1000,
    min: sums.minMs / 1000,
    trend: slope / 1000,
  };
}

/** The sums with one more run. A negative value (a clock that was set back) counts as 0. */
export function addRun(sums: RunningSums, valueMs: number): RunningSums {
  const ms = Math.max(0, valueMs);
  const count = sums.count + 1;
  return {
    count,
    sumMs: sums.sumMs + ms,
    minMs: sums.count === 0 ? ms : Math.min(sums.minMs, ms),
    maxMs: Math.max(sums.maxMs, ms),
    weightedMs: sums.weightedMs + count * ms,
  };
}
