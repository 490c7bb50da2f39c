import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RunFilter } from '../../src/store/countRuns.ts';
import { insertImportedRuns } from '../../src/store/legacy/insertRuns.ts';
import { pruneRuns } from '../../src/store/pruneRuns.ts';
import { purgeDeleted } from '../../src/store/purgeDeleted.ts';
import { listRuns } from '../../src/store/runs.ts';
import { sealRuns } from '../../src/store/sealRuns.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';

let env: TestEnvironment;
let jobId: number;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());
beforeEach(async () => {
  for (const table of ['jobs', 'job_runs', 'run_blocks', 'purges', 'deliveries'])
    await env.query(`DELETE FROM ${table}`);
  jobId = await addJob(env);
});

const START = Date.UTC(2026, 0, 1);
const at = (minute: number) => new Date(START + minute * 60_000);

/** A run a minute, every seventh failed; each 13th as late as an import would have it. The last is under way. */
async function addRuns(count: number, job = jobId): Promise<void> {
  const rows = Array.from({ length: count }, (_, n) => {
    const minute = n % 13 === 5 ? n - 40 : n;
    const end = n === count - 1 ? [null, null] : [n % 7 === 0 ? 'failed' : 'succeeded', at(minute + 1)];
    return [job, 1, 'manual', n, 1, 'w', at(minute), ...end];
  });
  await env.query(
    `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at, outcome, finished_at)
     VALUES ?`,
    [rows],
  );
}

const BLOCK = 10;
const seal = () => sealRuns(env.db, { afterJobId: 0, blockRuns: BLOCK });
const countBlocks = async () => (await env.query('SELECT * FROM run_blocks')).length;

/** Whatever blocks say, a list is what the rows are. */
async function expectPlain(filter: Omit<RunFilter, 'jobId'> = {}): Promise<void> {
  const rows = await env.query<{ id: number; outcome: string | null; started_at: Date; finished_at: Date | null }>(
    'SELECT id, outcome, started_at, finished_at FROM job_runs WHERE job_id = ? ORDER BY id DESC',
    [jobId],
  );
  const { succeeded, startedFrom, finishedUntil } = filter;
  const ids = rows
    .filter(({ outcome }) => succeeded === undefined || (outcome !== null && (outcome === 'succeeded') === succeeded))
    .filter((row) => !startedFrom || row.started_at >= startedFrom)
    .filter((row) => !finishedUntil || (row.finished_at !== null && row.finished_at <= finishedUntil))
    .map(({ id }) => id);
  for (const [limit, offset] of [
    [4, 0],
    [4, 17],
    [25, 25],
    [1000, 0],
    [7, ids.length - 3],
    [5, ids.length + 5],
  ] as const) {
    if (offset < 0) continue;
    const page = await listRuns(env.db, { jobId, ...filter }, { limit, offset });
    expect({ total: page.total, ids: page.runs.map(({ id }) => id) }).toEqual({
      total: ids.length,
      ids: ids.slice(offset, offset + limit),
    });
  }
}

async function expectAllPlain(): Promise<void> {
  for (const succeeded of [undefined, true, false]) {
    await expectPlain({ succeeded });
    await expectPlain({ succeeded, startedFrom: at(33) });
    await expectPlain({ succeeded, finishedUntil: at(61) });
    await expectPlain({ succeeded, startedFrom: at(33), finishedUntil: at(61) });
    await expectPlain({ succeeded, startedFrom: at(5000) });
  }
}

test('pages and totals are those of the rows, whatever has been sealed', async () => {
  const other = await addJob(env);
  for (let part = 0; part < 2; part++) {
    await addRuns(8, other);
    await env.query("UPDATE job_runs SET outcome = 'failed', finished_at = started_at WHERE outcome IS NULL");
    await addRuns(30 + part);
    await expectAllPlain();
    await seal();
    await expectAllPlain();
  }
  // The newest is under way, so the block that it is in is not made.
  expect(await env.query('SELECT job_id, COUNT(*) AS n FROM run_blocks GROUP BY job_id ORDER BY job_id')).toEqual([
    { job_id: jobId, n: 6 },
    { job_id: other, n: 1 },
  ]);
});

test('the rows of a block are not read where it says enough', async () => {
  await addRuns(95);
  await seal();
  await env.query(
    'DELETE FROM job_runs WHERE job_id = ? AND id % 10 = 4 AND id < (SELECT MAX(last_id) FROM run_blocks)',
    [jobId],
  );
  expect((await listRuns(env.db, { jobId }, { limit: 1, offset: 0 })).total).toBe(95);
});

test('two leaders at once seal each run once', async () => {
  await addRuns(95);
  const sealed = await Promise.all([seal(), seal(), seal()]);
  expect(sealed.reduce((sum, { blocks }) => sum + blocks, 0)).toBe(9);
  await expectAllPlain();
});

test('a job that runs is found whichever job is looked at next', async () => {
  await addRuns(5000);
  const [blocks, blockRuns] = [49, 100];
  expect(await sealRuns(env.db, { afterJobId: jobId, blockRuns })).toEqual({ blocks, afterJobId: 0 });
  await env.query('DELETE FROM run_blocks');
  // It has not run lately, so it has its turn only.
  await env.query('UPDATE job_runs SET updated_at = started_at');
  expect(await sealRuns(env.db, { afterJobId: jobId, blockRuns })).toEqual({ blocks: 0, afterJobId: 0 });
  expect(await sealRuns(env.db, { afterJobId: 0, blockRuns })).toEqual({ blocks, afterJobId: 0 });
});

test('what is removed from a history is in no block any more', async () => {
  await addRuns(95);
  await seal();
  const [kept] = await env.query<{ id: number }>(
    'SELECT id FROM job_runs WHERE job_id = ? ORDER BY id LIMIT 1 OFFSET 3',
    [jobId],
  );
  await env.query("INSERT INTO deliveries (job_id, user_id, run_id, url) VALUES (?, 1, ?, 'http://localhost')", [
    jobId,
    kept?.id,
  ]);
  await env.query('UPDATE jobs SET keep_runs = 60 WHERE id = ?', [jobId]);
  expect(await pruneRuns(env.db, { afterJobId: 0, startedBefore: new Date() })).toMatchObject({ runs: 33 });
  expect(await countBlocks()).toBe(5);
  await expectAllPlain();
  await seal();
  await expectAllPlain();
});

test('pruning and sealing at once leave the totals right', async () => {
  await addRuns(300);
  await env.query('UPDATE jobs SET keep_runs = 40 WHERE id = ?', [jobId]);
  const prune = () => pruneRuns(env.db, { afterJobId: 0, startedBefore: new Date() });
  await Promise.all([seal(), prune(), seal(), prune()]);
  expect((await listRuns(env.db, { jobId }, { limit: 1, offset: 0 })).total).toBe(41);
  await expectAllPlain();
});

test('a version that knows no blocks removes the oldest runs, and the totals stay right', async () => {
  await addRuns(95);
  await seal();
  await env.query('DELETE FROM job_runs WHERE job_id = ? ORDER BY id LIMIT 34', [jobId]);
  expect((await listRuns(env.db, { jobId }, { limit: 1, offset: 0 })).total).toBe(61);
  await expectAllPlain();
  await env.query('DELETE FROM job_runs WHERE job_id = ?', [jobId]);
  await expectAllPlain();
});

test('a deleted job leaves no block', async () => {
  await addRuns(95);
  await seal();
  await env.query('DELETE FROM jobs');
  await env.query('INSERT INTO purges (job_id) VALUES (?)', [jobId]);
  await purgeDeleted(env.db, new Date(Date.now() + 60_000));
  expect(await env.query('SELECT * FROM purges')).toEqual([]);
  expect(await countBlocks()).toBe(0);
});

test('older runs that are imported count too', async () => {
  await addRuns(45);
  await env.query("UPDATE job_runs SET outcome = 'failed', finished_at = started_at WHERE outcome IS NULL");
  await env.query('ALTER TABLE job_runs AUTO_INCREMENT = 1000000');
  await addRuns(50);
  await seal();
  const runs = Array.from({ length: 25 }, (_, n) => ({
    legacyId: 500_000 + n,
    jobId,
    run: {
      trigger: 'manual' as const,
      scheduledFor: null,
      startedAt: at(n - 100),
      finishedAt: at(n - 99),
      outcome: 'succeeded' as const,
      returnCode: 0,
      errorMessage: '',
      createdAt: at(n - 100),
      updatedAt: at(n - 99),
    },
    output: { stdout: '', stderr: '', stdoutBytes: 0, stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false },
  }));
  await env.db.transact((tx) => insertImportedRuns(tx, runs));
  expect((await listRuns(env.db, { jobId }, { limit: 1, offset: 0 })).total).toBe(120);
  await seal();
  await expectAllPlain();
});
