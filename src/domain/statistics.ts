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
