import { jobs } from './schema.ts';

/** A job's sums over its runs (src/domain/statistics.ts) as columns to select. */
export const durationSums = {
  count: jobs.durationCount,
  sumMs: jobs.durationSumMs,
  minMs: jobs.durationMinMs,
  maxMs: jobs.durationMaxMs,
  weightedMs: jobs.durationWeightedMs,
};

export const lagSums = {
  count: jobs.lagCount,
  sumMs: jobs.lagSumMs,
  minMs: jobs.lagMinMs,
  maxMs: jobs.lagMaxMs,
  weightedMs: jobs.lagWeightedMs,
};
