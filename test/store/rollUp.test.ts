import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PERIODS, periodEnd, periodStart, slopeOf } from '../../src/domain/statistics.ts';
import { countedBefore, rollUp } from '../../src/store/rollUp.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
beforeEach(async () => {
  for (const table of ['job_runs', 'job_stats', 'job_stat_jobs', 'watermarks', 'users', 'jobs'])
    await env.query('DELETE FROM ??', [table]);
});
afterAll(() => env.close());

interface NewRun {
  userId: number;
  jobId: number;
  startedAt: Date;
  durationMs: number;
  lagMs: number | null;
  outcome: string | null;
  attempt: number;
  /** When it was recorded: as much before the last of the passes. */
  recordedAt: Date;
}

async function insert(runs: NewRun[]): Promise<void> {
  for (const run of runs) {
    await env.query(
      `INSERT INTO job_runs (job_id, user_id, trigger_kind, scheduled_for, attempt, lease_token, worker_id, started_at,
         finished_at, outcome, updated_at) VALUES (?, ?, 'manual', ?, ?, 1, 'w', ?, ?, ?, ?)`,
      [
        run.jobId,
        run.userId,
        run.lagMs === null ? null : new Date(run.startedAt.getTime() - run.lagMs),
        run.attempt,
        run.startedAt,
        run.outcome && new Date(run.startedAt.getTime() + run.durationMs),
        run.outcome,
        run.recordedAt,
      ],
    );
  }
}

/** The same from the runs, said plainly. */
function expected(runs: NewRun[]) {
  const rows: Record<string, unknown>[] = [];
  const finished = runs.filter(({ outcome }) => outcome !== null);
  for (const period of PERIODS) {
    const groups = Map.groupBy(finished, (run) => `${run.userId} ${periodStart(period, run.startedAt).getTime()}`);
    for (const group of groups.values()) {
      const [first] = group;
      if (!first) continue;
      const durations = group.filter(({ outcome }) => outcome !== 'lost').map(({ durationMs }) => durationMs);
      const lags = group
        .filter(({ outcome, attempt }) => outcome !== 'lost' && attempt === 1)
        .flatMap(({ lagMs }) => lagMs ?? []);
      rows.push({
        user_id: first.userId,
        period,
        start_at: periodStart(period, first.startedAt),
        end_at: periodEnd(period, periodStart(period, first.startedAt)),
        runs: group.length,
        failed: group.filter(({ outcome }) => outcome !== 'succeeded').length,
        job_count: new Set(group.map(({ jobId }) => jobId)).size,
        ...summary('duration', durations),
        ...summary('lag', lags),
      });
    }
  }
  return rows.toSorted(order);
}
const summary = (name: string, values: number[]) => ({
  [`${name}_count`]: values.length,
  [`${name}_sum_ms`]: values.reduce((sum, value) => sum + value, 0),
  [`${name}_min_ms`]: values.length > 0 ? Math.min(...values) : 0,
  [`${name}_max_ms`]: Math.max(0, ...values),
});
const keyOf = (row: Record<string, unknown>) => `${row['user_id']} ${row['period']} ${Number(row['start_at'])}`;
const order = (a: Record<string, unknown>, b: Record<string, unknown>) => (keyOf(a) < keyOf(b) ? -1 : 1);

async function stored() {
  const rows = await env.query(
    `SELECT user_id, period, start_at, end_at, runs, failed, job_count, duration_count, duration_sum_ms, duration_min_ms,
       duration_max_ms, lag_count, lag_sum_ms, lag_min_ms, lag_max_ms FROM job_stats`,
  );
  return rows.toSorted(order);
}

const NOW = Date.now();
const past = (maxMs: number) => fc.integer({ min: 0, max: maxMs }).map((ms) => new Date(NOW - ms));
const HOURS = 3_600_000;
const run: fc.Arbitrary<NewRun> = fc.record({
  userId: fc.constantFrom(1, 2),
  jobId: fc.constantFrom(1, 2, 3),
  startedAt: past(100 * HOURS),
  durationMs: fc.integer({ min: 0, max: 100_000 }),
  lagMs: fc.option(fc.integer({ min: 0, max: 5000 })),
  outcome: fc.constantFrom('succeeded', 'failed', 'timed_out', 'lost', null),
  attempt: fc.constantFrom(1, 2),
  recordedAt: past(5 * HOURS),
});

describe('statistics', () => {
  test('equal a recomputation from the runs, however the passes fall, and with two leaders at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(run, { maxLength: 40 }), fc.nat(40), async (runs, split) => {
        for (const table of ['job_runs', 'job_stats', 'job_stat_jobs', 'watermarks'])
          await env.query('DELETE FROM ??', [table]);
        // Unique per job and occurrence, as the claim sees to.
        const all = runs.map((one, index) => ({
          ...one,
          attempt: one.attempt,
          jobId: one.jobId + 10 * index * Number(one.lagMs !== null),
        }));
        const [early, late] = [all.slice(0, split), all.slice(split)];
        await insert(early);
        await Promise.all([rollUp(env.db), rollUp(env.db)]);
        await insert(late.map((one) => ({ ...one, recordedAt: new Date() })));
        await rollUp(env.db);
        await rollUp(env.db);
        expect(await stored()).toEqual(expected(all));
      }),
      // A pass over a hundred hours is some hundred statements: the runs vary within a case rather than between many.
      { numRuns: 6 },
    );
  });

  test('go on where they stopped, in bounded steps, and have rows for the silence of users with jobs', async () => {
    await env.query(
      "INSERT INTO users (id, username, username_key, password_digest, job_count) VALUES (1, 'u', 'u', '', 3)",
    );
    await env.query("INSERT INTO users (id, username, username_key, password_digest) VALUES (2, 'v', 'v', '')");
    await env.query("INSERT INTO watermarks VALUES ('statistics', UTC_TIMESTAMP(6) - INTERVAL 570 MINUTE)");
    expect(await rollUp(env.db)).toBe(6);
    expect(await rollUp(env.db)).toBe(4);
    const rows = await env.query(
      'SELECT period, COUNT(*) AS n, SUM(total_jobs) / COUNT(*) AS total, SUM(runs) AS runs FROM job_stats WHERE user_id = 1 GROUP BY period',
    );
    const counts = Object.fromEntries(rows.map(({ period, n }) => [period, n]));
    expect(counts['minute']).toBeGreaterThanOrEqual(570);
    expect(counts['minute']).toBeLessThanOrEqual(571);
    expect([10, 11]).toContain(counts['hour']);
    expect(rows.every(({ total, runs }) => Number(total) === 3 && Number(runs) === 0)).toBe(true);
    expect(await env.query('SELECT COUNT(*) AS n FROM job_stats WHERE user_id <> 1')).toEqual([{ n: 0 }]);
  });

  test('tell of the present period how many jobs there are now, and of a past one how many there were', async () => {
    await env.query(
      "INSERT INTO users (id, username, username_key, password_digest, job_count) VALUES (7, 'u', 'u', '', 3)",
    );
    const totals = (from: string) => env.query(`SELECT total_jobs FROM job_stats WHERE period = 'week' AND ${from}`);
    const startedAt = new Date(Date.now() - 120_000);
    const one = {
      userId: 7,
      jobId: 1,
      startedAt,
      durationMs: 1,
      lagMs: null,
      outcome: 'succeeded',
      attempt: 1,
      recordedAt: startedAt,
    };
    await insert([one]);
    await rollUp(env.db);
    expect(await totals('end_at > UTC_TIMESTAMP(6)')).toEqual([{ total_jobs: 3 }]);
    await env.query('UPDATE users SET job_count = 9 WHERE id = 7');
    await env.query("UPDATE job_stats SET end_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE period = 'hour'");
    await insert([{ ...one, recordedAt: new Date(Date.now() - 30_000), startedAt: new Date(Date.now() - 60_000) }]);
    await rollUp(env.db);
    expect(await totals('end_at > UTC_TIMESTAMP(6)')).toEqual([{ total_jobs: 9 }]);
    expect(
      await env.query("SELECT DISTINCT total_jobs FROM job_stats WHERE period = 'hour' AND end_at < UTC_TIMESTAMP(6)"),
    ).toEqual([{ total_jobs: 3 }]);
  });

  test('keep what was counted when runs are removed, which only those of hours that are over are', async () => {
    const hour = new Date(periodStart('hour', new Date()).getTime() - 2 * HOURS);
    const one = {
      userId: 1,
      jobId: 1,
      durationMs: 1,
      lagMs: null,
      outcome: 'succeeded',
      attempt: 1,
      recordedAt: new Date(Date.now() - 60_000),
    };
    expect(await countedBefore(env.db)).toBeNull();
    await insert([0, 1, 2, 3].map((minute) => ({ ...one, startedAt: new Date(hour.getTime() + minute * 60_000) })));
    await rollUp(env.db);
    const counted = await countedBefore(env.db);
    expect(counted).toEqual(periodStart('hour', new Date(Date.now() - 30_000)));
    const before = await stored();
    expect(before.filter(({ period }) => period === 'hour')).toMatchObject([{ runs: 4 }]);
    await env.query('DELETE FROM job_runs ORDER BY id LIMIT 3');
    await env.query('UPDATE job_runs SET updated_at = UTC_TIMESTAMP(6)');
    await rollUp(env.db);
    expect(await stored()).toEqual(before);
  });

  test('read their runs from an index', async () => {
    const plan = await env.query(
      `EXPLAIN SELECT DISTINCT user_id, TIMESTAMPDIFF(MINUTE, '1970-01-01', started_at) FROM job_runs FORCE INDEX (job_runs_changed)
       WHERE updated_at > UTC_TIMESTAMP(6) - INTERVAL 1 HOUR AND updated_at <= UTC_TIMESTAMP(6)`,
    );
    expect(JSON.stringify(plan)).toMatch(/job_runs_changed/);
    expect(JSON.stringify(plan)).toMatch(/[Uu]sing index|Covering index/);
  });
});

test('the slope of values is that of the least squares', () => {
  expect([slopeOf([]), slopeOf([5]), slopeOf([1, 3]), slopeOf([4, 4, 4])]).toEqual([0, 0, 2, 0]);
  expect(slopeOf([1, 2, 2, 3])).toBeCloseTo(0.6, 10);
});
