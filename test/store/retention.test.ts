import { afterAll, beforeAll, expect, test } from 'vitest';
import { pruneKeys, takeKey } from '../../src/store/idempotencyKeys.ts';
import { pruneRuns } from '../../src/store/pruneRuns.ts';
import { refreshDisabled } from '../../src/store/refreshDisabled.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

/** Finished runs, one a day, the newest today; each with output. */
async function addRuns(jobId: number, count: number): Promise<void> {
  for (let day = count - 1; day >= 0; day--) {
    await env.query(
      `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at, finished_at, outcome)
       VALUES (?, 1, 'manual', 1, 1, 'w', UTC_TIMESTAMP(6) - INTERVAL ? DAY, UTC_TIMESTAMP(6) - INTERVAL ? DAY, 'failed')`,
      [jobId, day, day],
    );
    await env.query(`INSERT INTO run_outputs (run_id, stdout, stderr) VALUES (LAST_INSERT_ID(), 'out', '')`);
  }
}
const ages = async (jobId: number) => {
  const rows = await env.query<{ age: number }>(
    'SELECT DATEDIFF(UTC_TIMESTAMP(6), started_at) AS age FROM job_runs WHERE job_id = ? ORDER BY id',
    [jobId],
  );
  return rows.map(({ age }) => age);
};

test('jobs keep what they want to keep of their runs, and those under way', async () => {
  const [all, three, days, both] = [
    await addJob(env),
    await addJob(env, { keepRuns: 3 }),
    await addJob(env, { keepDays: 2 }),
    await addJob(env, { keepRuns: 5, keepDays: 2 }),
  ];
  for (const id of [all, three, days, both]) await addRuns(id, 10);
  await env.query(`UPDATE job_runs SET outcome = NULL, finished_at = NULL WHERE job_id = ? ORDER BY id LIMIT 1`, [
    three,
  ]);
  expect(await pruneRuns(env.db, { afterJobId: 0, startedBefore: new Date(Date.now() + 60_000) })).toEqual({
    runs: 6 + 8 + 8,
    afterJobId: 0,
  });
  expect(await ages(all)).toHaveLength(10);
  expect(await ages(three)).toEqual([9, 2, 1, 0]);
  expect(await ages(days)).toEqual([1, 0]);
  expect(await ages(both)).toEqual([1, 0]);
  const [left] = await env.query('SELECT COUNT(*) AS n FROM run_outputs o JOIN job_runs r ON r.id = o.run_id');
  expect([left, await env.query('SELECT COUNT(*) AS n FROM run_outputs')]).toEqual([{ n: 18 }, [{ n: 18 }]]);
  expect(await pruneRuns(env.db, { afterJobId: 0, startedBefore: new Date(Date.now() + 60_000) })).toMatchObject({
    runs: 0,
  });
});

test('runs that the statistics have yet to count are kept', async () => {
  const job = await addJob(env, { keepRuns: 1 });
  await addRuns(job, 3);
  const startedBefore = new Date(Date.now() - 36 * 3_600_000);
  expect(await pruneRuns(env.db, { afterJobId: 0, startedBefore })).toMatchObject({ runs: 1 });
  expect(await ages(job)).toEqual([1, 0]);
});

test('an idempotency key is remembered for a day', async () => {
  const [old, young] = ['old', 'young'].map((key) => ({ userId: 1, key, fingerprint: 'f' }));
  if (!old || !young) throw new Error();
  expect(await takeKey(env.db, old)).toBeNull();
  expect(await takeKey(env.db, young)).toBeNull();
  await env.query(
    "UPDATE idempotency_keys SET created_at = created_at - INTERVAL 25 HOUR WHERE idempotency_key = 'old'",
  );
  expect(await pruneKeys(env.db)).toBe(1);
  expect(await takeKey(env.db, young)).toMatchObject({ fingerprint: 'f' });
  expect(await takeKey(env.db, old)).toBeNull();
});

test('the next run of a disabled job moves on once it has passed', async () => {
  const past = new Date('2026-01-01T00:00:00Z');
  const disabled = await addJob(env, { enabled: false, state: 'idle', nextRun: past, cron: '0 0 1 1 *' });
  const enabled = await addJob(env, { state: 'idle', nextRun: past, cron: '0 0 1 1 *' });
  const over = await addJob(env, { enabled: false, state: 'idle', nextRun: past, endsAt: past });
  const nextRun = async (id: number) =>
    (await env.query('SELECT next_run FROM jobs WHERE id = ?', [id]))[0]?.['next_run'];
  expect(await refreshDisabled(env.db)).toBe(2);
  expect([await nextRun(disabled), await nextRun(enabled), await nextRun(over)]).toEqual([
    new Date(`${new Date().getUTCFullYear() + 1}-01-01T00:00:00Z`),
    past,
    null,
  ]);
  expect(await refreshDisabled(env.db)).toBe(0);
});
