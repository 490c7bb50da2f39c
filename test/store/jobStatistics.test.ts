import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OUTCOMES } from '../../src/domain/outcome.ts';
import { slopeOf, summarize } from '../../src/domain/statistics.ts';
import { recordOutcome } from '../../src/store/recordOutcome.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

const aRun = fc.record({
  /** A clock that was set back makes it negative. */
  durationMs: fc.integer({ min: -1000, max: 6 * 3_600_000 }),
  lagMs: fc.integer({ min: -1000, max: 3_600_000 }),
  attempt: fc.constantFrom(1, 1, 1, 2),
  isManual: fc.boolean(),
  outcome: fc.constantFrom(...OUTCOMES),
});
type Run = typeof aRun extends fc.Arbitrary<infer T> ? T : never;

const FIRST = Date.parse('2026-01-01T00:00:00Z');
const OUTPUT = {
  stdout: '',
  stderr: '',
  stdoutBytes: 0,
  stderrBytes: 0,
  stdoutTruncated: false,
  stderrTruncated: false,
};

/** A claimed run as the database holds it, and its end by the product's own statement. */
async function run(jobId: number, { durationMs, lagMs, attempt, isManual, outcome }: Run, nth: number): Promise<void> {
  const scheduledFor = isManual ? null : new Date(FIRST + nth * 86_400_000);
  const startedAt = new Date(FIRST + nth * 86_400_000 + lagMs);
  await env.query(
    `INSERT INTO job_runs (job_id, user_id, scheduled_for, attempt, trigger_kind, lease_token, started_at, worker_id)
     VALUES (?, 1, ?, ?, ?, ?, ?, 'w')`,
    [jobId, scheduledFor, attempt, isManual ? 'manual' : 'schedule', nth, startedAt],
  );
  const [{ id: runId } = { id: 0 }] = await env.query<{ id: number }>('SELECT MAX(id) AS id FROM job_runs');
  await env.query("UPDATE jobs SET state = 'leased', lease_token = ?, run_id = ? WHERE id = ?", [nth, runId, jobId]);
  const finishedAt = new Date(startedAt.getTime() + durationMs);
  const end = { outcome, returnCode: 0, errorMessage: '', startedAt, finishedAt, output: OUTPUT };
  const recorded = await recordOutcome(env.db, { runId, jobId, leaseToken: nth, scheduledFor, attempt, ...end });
  expect(recorded.result).toBe('recorded');
}

/** What the runs themselves say, read again from the first to the last. */
async function recompute(jobId: number) {
  const rows = await env.query<{ duration: number; late: number | null }>(
    `SELECT GREATEST(TIMESTAMPDIFF(MICROSECOND, started_at, finished_at), 0) / 1e6 AS duration,
            IF(attempt = 1, GREATEST(TIMESTAMPDIFF(MICROSECOND, scheduled_for, started_at), 0) / 1e6, NULL) AS late
     FROM job_runs WHERE job_id = ? ORDER BY id`,
    [jobId],
  );
  const summaryOf = (values: number[]) =>
    values.length === 0
      ? { average: null, max: null, min: null, trend: null }
      : {
          average: close(values.reduce((sum, value) => sum + value, 0) / values.length),
          max: close(Math.max(...values)),
          min: close(Math.min(...values)),
          trend: close(slopeOf(values)),
        };
  const lags = rows.flatMap(({ late }) => (late === null ? [] : [Number(late)]));
  return { duration: summaryOf(rows.map(({ duration }) => Number(duration))), lag: summaryOf(lags) };
}

/** To the microsecond: sums of doubles differ in their last digits. */
const close = (value: number) => expect.closeTo(value, 6);

async function kept(jobId: number) {
  const [row = {}] = await env.query<Record<string, number>>('SELECT * FROM jobs WHERE id = ?', [jobId]);
  const sums = (of: string) => {
    const column = (name: string) => Number(row[`${of}_${name}`]);
    const [sumMs, minMs, maxMs] = [column('sum_ms'), column('min_ms'), column('max_ms')];
    return summarize({ count: column('count'), sumMs, minMs, maxMs, weightedMs: column('weighted_ms') });
  };
  return { duration: sums('duration'), lag: sums('lag') };
}

test("a job's averages, extremes and trends, kept run by run, are those of its runs", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aRun, { maxLength: 12 }), async (runs) => {
      const jobId = await addJob(env, { cron: '0 0 1 1 *' });
      for (const [index, one] of runs.entries()) await run(jobId, one, index + 1);
      expect(await kept(jobId)).toEqual(await recompute(jobId));
    }),
    { numRuns: 60 },
  );
});
