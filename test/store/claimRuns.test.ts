import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { claimRuns } from '../../src/store/claimRuns.ts';
import type { Database } from '../../src/store/database.ts';
import { lockDue, selectDue } from '../../src/store/lockDue.ts';
import { markDue } from '../../src/store/markDue.ts';
import { createEnvironment, databaseKind, type TestEnvironment } from '../support/environment.ts';
import { addJob, minuteAgo } from '../support/jobs.ts';

const workerId = '00000000-0000-4000-8000-000000000001';
const options = { workerId, limit: 10, leaseMs: 30_000, misfireGraceMs: 60_000 };
const minutesAgo = (minutes: number) => new Date(minuteAgo().getTime() - minutes * 60_000);

describe('a claim', () => {
  let env: TestEnvironment;
  beforeAll(async () => {
    env = await createEnvironment();
  });
  afterAll(() => env.close());

  test('leases a due job, inserts its run and moves its next occurrence on, with a new fencing token', async () => {
    const at = minuteAgo();
    const id = await addJob(env, { nextRun: at, leaseToken: 6 });
    const { runs } = await claimRuns(env.db, options);
    expect(runs).toMatchObject([{ jobId: id, scheduledFor: at, leaseToken: 7, trigger: 'schedule', attempt: 1 }]);
    const [job] = await env.query('SELECT * FROM jobs WHERE id = ?', [id]);
    expect(job).toMatchObject({ state: 'leased', lease_owner: workerId, lease_token: 7, run_id: runs[0]?.runId });
    expect(job?.['next_run']).toEqual(new Date(at.getTime() + 60_000));
    const found = await env.query('SELECT job_id, scheduled_for, outcome FROM job_runs WHERE id = ?', [runs[0]?.runId]);
    expect(found).toEqual([{ job_id: id, scheduled_for: at, outcome: null }]);
    expect((await claimRuns(env.db, options)).runs).toEqual([]);
  });

  test('knows the ids of its runs also where the server counts in steps', async () => {
    await Promise.all(Array.from({ length: 3 }, () => addJob(env)));
    const inSteps: Database = {
      ...env.db,
      transact: (work) =>
        env.db.transact(async (tx) => {
          await tx.execute('SET SESSION auto_increment_increment = 7');
          const result = await work(tx);
          await tx.execute('SET SESSION auto_increment_increment = 1');
          return result;
        }),
    };
    const { runs } = await claimRuns(inSteps, options);
    const ids = runs.map(({ runId, jobId }) => ({ id: runId, job_id: jobId }));
    expect(ids).toHaveLength(3);
    expect(await env.query('SELECT id, job_id FROM job_runs WHERE outcome IS NULL ORDER BY id DESC LIMIT 3')).toEqual(
      ids.toReversed(),
    );
  });

  test('takes nothing before its time', async () => {
    await addJob(env, { nextRun: new Date(Date.now() + 60_000) });
    expect((await claimRuns(env.db, options)).examined).toBe(0);
  });

  test('takes as many as its limit, the longest due first', async () => {
    const ids = [];
    for (let age = 1; age <= 12; age++) ids.unshift(await addJob(env, { nextRun: minutesAgo(age) }));
    const first = await claimRuns(env.db, options);
    expect(first.runs.map((run) => run.jobId)).toEqual(ids.slice(0, 10));
    expect((await claimRuns(env.db, options)).runs).toHaveLength(2);
  });

  test('takes what is due soon where it is asked to, and says when that is', async () => {
    const dueAt = new Date(Math.ceil(Date.now() / 1000) * 1000 + 30_000);
    const yearly = { cron: '0 0 1 1 *', dueAt };
    const id = await addJob(env, { ...yearly, nextRun: dueAt });
    const retry = await addJob(env, {
      ...yearly,
      trigger: 'retry',
      attempt: 2,
      scheduledFor: minutesAgo(2),
      nextRun: null,
    });
    const claimEarly = async (earlyMs: number) => {
      const { runs, misfires } = await claimRuns(env.db, { ...options, earlyMs });
      return [...runs, ...misfires].filter(({ jobId }) => [id, retry].includes(jobId));
    };
    expect(await claimEarly(1000)).toEqual([]);
    expect(await claimEarly(60_000)).toMatchObject([
      { jobId: id, dueAt, scheduledFor: dueAt },
      { jobId: retry, dueAt, scheduledFor: minutesAgo(2), attempt: 2 },
    ]);
    const started = await env.query('SELECT started_at AS startedAt FROM job_runs WHERE job_id IN ?', [[[id, retry]]]);
    expect(started).toEqual([{ startedAt: dueAt }, { startedAt: dueAt }]);
  });

  test('of an occurrence that has passed is not put off for the next one, though that is due soon', async () => {
    const passed = minuteAgo();
    const id = await addJob(env, { nextRun: passed });
    const { runs, misfires } = await claimRuns(env.db, { ...options, earlyMs: 60_000 });
    const own = [...runs, ...misfires].filter(({ jobId }) => jobId === id);
    expect(own).toMatchObject([{ scheduledFor: passed, dueAt: passed }]);
  });

  test('passes over rows that another transaction holds, and does not wait for them', async () => {
    const held = await addJob(env);
    const free = await addJob(env);
    await env.db.transact(async (tx) => {
      const locked = await lockDue(tx, { limit: 1 });
      expect(locked.map((job) => job.id)).toEqual([held]);
      expect((await claimRuns(env.db, options)).runs.map((run) => run.jobId)).toEqual([free]);
    });
    expect((await claimRuns(env.db, options)).runs.map((run) => run.jobId)).toEqual([held]);
  });

  test('of a run by hand after three hours down says of what passed before that nobody was there', async () => {
    const by = { trigger: 'manual' as const, dueAt: minuteAgo() };
    const id = await addJob(env, { ...by, nextRun: minutesAgo(180), misfirePolicy: 'fire_once' });
    const disabled = await addJob(env, { ...by, nextRun: minutesAgo(180), enabled: false });
    const { runs, misfires } = await claimRuns(env.db, options);
    expect(runs).toMatchObject([id, disabled].map((jobId) => ({ jobId, trigger: 'manual', scheduledFor: null })));
    expect(misfires).toMatchObject([{ jobId: id, reason: 'down', firstAt: minutesAgo(180) }]);
    const [job] = await env.query('SELECT next_run FROM jobs WHERE id = ?', [id]);
    expect(job?.['next_run']).toEqual(new Date(Number(misfires[0]?.lastAt) + 60_000));
  });

  test('does not run an occurrence again that has its run, and records no misfire for it', async () => {
    const at = minuteAgo();
    const id = await addJob(env, { nextRun: at });
    const other = await addJob(env, { nextRun: at });
    await env.query(
      `INSERT INTO job_runs (job_id, user_id, trigger_kind, scheduled_for, attempt, lease_token, worker_id, started_at)
       VALUES (?, 1, 'schedule', ?, 1, 1, 'x', UTC_TIMESTAMP(6))`,
      [id, at],
    );
    const { runs, misfires } = await claimRuns(env.db, options);
    expect(runs.map((run) => run.jobId)).toEqual([other]);
    expect(misfires).toEqual([]);
    const [job] = await env.query('SELECT next_run FROM jobs WHERE id = ?', [id]);
    expect(job?.['next_run']).toEqual(new Date(at.getTime() + 60_000));
  });

  test('a schedule that can no longer be read puts its job aside and lets the others run', async () => {
    const broken = await addJob(env, { cron: 'nonsense' });
    const fine = await addJob(env);
    const claim = await claimRuns(env.db, options);
    expect(claim.broken.map(({ jobId }) => jobId)).toEqual([broken]);
    expect(claim.runs.map((run) => run.jobId)).toEqual([fine]);
    expect((await claimRuns(env.db, options)).examined).toBe(0);
  });

  test.each([
    { policy: 'skip', ran: 0, missed: 180 },
    { policy: 'fire_once', ran: 1, missed: 179 },
    { policy: 'catch_up', ran: 50, missed: 130 },
  ] as const)('after three hours down, $policy runs $ran and records $missed', async ({ policy, ran, missed }) => {
    const id = await addJob(env, { nextRun: minutesAgo(179), misfirePolicy: policy, catchUpMax: 50 });
    // A minute that begins during the test adds an occurrence to either side.
    const endAt = minuteAgo();
    const strict = { ...options, misfireGraceMs: 0 };
    for (let pass = 0; pass < 60; pass++) {
      const { runs } = await claimRuns(env.db, strict);
      for (const run of runs) {
        await env.query("UPDATE job_runs SET outcome = 'succeeded' WHERE id = ?", [run.runId]);
        await env.query("UPDATE jobs SET state = 'due', due_at = next_run WHERE id = ?", [run.jobId]);
      }
    }
    const between = 'job_id = ? AND scheduled_for <= ?';
    const [{ runs } = { runs: -1 }] = await env.query<{ runs: number }>(
      `SELECT COUNT(*) AS runs FROM job_runs WHERE ${between}`,
      [id, endAt],
    );
    const [misfire] = await env.query(
      'SELECT SUM(occurrence_count) AS n, MIN(reason) AS reason FROM misfires WHERE job_id = ?',
      [id],
    );
    const crossed = minuteAgo() > endAt ? 1 : 0;
    expect(runs).toBeGreaterThanOrEqual(ran - crossed);
    expect(runs).toBeLessThanOrEqual(ran);
    expect(Number(misfire?.['n']) + runs).toBeGreaterThanOrEqual(180);
    expect(Number(misfire?.['n'])).toBeGreaterThanOrEqual(missed);
    expect(Number(misfire?.['n'])).toBeLessThanOrEqual(missed + crossed);
    expect(misfire?.['reason']).toBe('down');
    await env.query('DELETE FROM jobs WHERE id = ?', [id]);
  });
});

describe('many claimers', () => {
  let env: TestEnvironment;
  beforeAll(async () => {
    env = await createEnvironment({ BJR_DATABASE_POOL: '60' });
  });
  afterAll(() => env.close());

  test('forty claimers and five leaders without election: every occurrence has exactly one run', async () => {
    await Promise.all(Array.from({ length: 1000 }, () => addJob(env, { state: 'idle', nextRun: minuteAgo() })));
    let isOver = false;
    let taken = 0;
    const leaders = Array.from({ length: 5 }, async () => {
      // Without the pause they would do little but keep the database from the claimers, on a machine of two cores for minutes.
      for (; !isOver; await delay(5)) await markDue(env.db);
    });
    const claimers = Array.from({ length: 40 }, async (_, index) => {
      const found: number[] = [];
      while (taken < 1000) {
        const { runs } = await claimRuns(env.db, { ...options, workerId: `claimer-${index}` });
        found.push(...runs.map((run) => run.jobId));
        taken += runs.length;
        // As a worker's loop does: what others have locked is looked at again, not in a circle.
        if (runs.length === 0) await delay(25);
      }
      return found;
    });
    const claimed = (await Promise.all(claimers).finally(() => (isOver = true))).flat();
    await Promise.all(leaders);
    expect(new Set(claimed).size).toBe(claimed.length);
    const [count] = await env.query(
      'SELECT COUNT(*) AS runs, COUNT(DISTINCT job_id, scheduled_for) AS occurrences FROM job_runs',
    );
    expect(count).toEqual({ runs: 1000, occurrences: 1000 });
  });
});

describe("the claim's read on 100,000 rows, 10,000 of them due", () => {
  let env: TestEnvironment;
  beforeAll(async () => {
    env = await createEnvironment();
    await fill(env, 100_000);
    await env.query('ANALYZE TABLE jobs');
  });
  afterAll(() => env.close());

  test('uses its one index, in its order', async () => {
    const { sql, params } = selectDue(env.db, 20).toSQL();
    const format = databaseKind === 'mysql' ? 'FORMAT=TRADITIONAL' : '';
    const [plan] = await env.query<{ key: string; Extra: string }>(`EXPLAIN ${format} ${sql}`, params);
    expect(plan?.key).toBe('jobs_claim');
    expect(plan?.Extra).not.toMatch(/filesort|temporary/i);
  });

  test('locks no more than the batch', async () => {
    await env.db.transact(async (tx) => {
      expect(await lockDue(tx, { limit: 20 })).toHaveLength(20);
      // Each row twice: its entry in the index and the row itself.
      expect(await lockedRows(env)).toBe(40);
    });
  });
});

async function lockedRows(env: TestEnvironment): Promise<number> {
  const byIndex = `SELECT COUNT(*) AS n FROM performance_schema.data_locks
                   WHERE object_schema = DATABASE() AND object_name = 'jobs' AND lock_type = 'RECORD'`;
  // MariaDB does not list locks that nobody waits for; it counts the rows.
  const byTransaction = 'SELECT MAX(trx_rows_locked) AS n FROM information_schema.innodb_trx';
  const [row] = await env.query<{ n: number }>(databaseKind === 'mysql' ? byIndex : byTransaction);
  return Number(row?.n);
}

async function fill(env: TestEnvironment, count: number): Promise<void> {
  const batch = 5000;
  for (let from = 0; from < count; from += batch) {
    const rows = Array.from({ length: batch }, (_, index) => {
      const n = from + index;
      const isDue = n % 10 === 0;
      const at = new Date(Date.now() - (isDue ? (n % 7919) * 1000 : -86_400_000));
      return [1, `job ${n}`, `job ${n}`, 'true', '* * * * *', 'UTC', at, isDue ? 'due' : 'idle', isDue ? at : null];
    });
    await env.query(
      'INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, next_run, state, due_at) VALUES ?',
      [rows],
    );
  }
}
