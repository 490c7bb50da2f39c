import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseExpression } from '../../src/domain/search/parse.ts';
import { countJobs } from '../../src/store/countJobs.ts';
import type { Queryable } from '../../src/store/database.ts';
import { listJobs } from '../../src/store/jobs.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addUser } from '../support/jobs.ts';

let env: TestEnvironment;
const owner = { userId: 1, jobCount: 2000, jobsRevision: 0 };

/** 2,000 jobs: 5 failed and 3 of them are disabled, 2 never ran, 3 run, 2 have a tag. And the same of another user. */
beforeAll(async () => {
  env = await createEnvironment();
  const success = (n: number) => (n < 2 ? null : n % 400 !== 7);
  const rows = [1, 2].flatMap((userId) =>
    Array.from({ length: owner.jobCount }, (_, n) => {
      const state = n % 900 === 9 ? 'leased' : 'idle';
      const nextRun = new Date(Date.UTC(2027, 0, 1) + (n % 97) * 60_000);
      return [userId, `job ${n}`, `job ${n}`, 'true', '0 0 1 1 *', 'UTC', n % 800 !== 7, nextRun, state, success(n)];
    }),
  );
  await env.query(
    'INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, enabled, next_run, state, success) VALUES ?',
    [rows],
  );
  await env.query("INSERT INTO tags (id, user_id, name, name_key) VALUES (1, 1, 'rare', 'rare')");
  await env.query(
    'INSERT INTO job_tags (job_id, tag_id) SELECT id, 1 FROM jobs WHERE user_id = 1 AND name_key IN (?)',
    [['job 77', 'job 1077']],
  );
  await addUser(env, { id: 1, jobCount: owner.jobCount });
});
afterAll(() => env.close());

test.each([
  ['successful', 1993],
  ['-successful', 7],
  ['failed', 5],
  ['-failed', 1995],
  ['running', 3],
  ['stopped', 1997],
  ['-running', 1997],
  ['failed enabled', 2],
  ['failed stopped name:job', 5],
])('few of 2,000 jobs are read to count %s', async (expression, expected) => {
  const { found, reads } = await measureReads((tx) => countJobs(tx, owner, read(expression)));
  expect(found).toBe(expected);
  expect(reads).toBeLessThan(100);
});

test.each([
  ['failed', 5],
  ['running', 3],
  ['running failed', 0],
  ['tag:rare', 2],
])('where few of 2,000 jobs are %s, a page does not read the others', async (expression, expected) => {
  const terms = read(expression);
  const { found, reads } = await measureReads((tx) => listJobs(tx, { owner, terms, limit: 25, offset: 0 }));
  expect([found.total, found.jobs.length]).toEqual([expected, expected]);
  expect(reads).toBeLessThan(200);
});

const read = (expression: string) => parseExpression(expression, { readDate: () => undefined });

/** Rows that one session reads, in tables and in indexes. */
function measureReads<T>(work: (tx: Queryable) => Promise<T>): Promise<{ found: T; reads: number }> {
  return env.db.transact(async (tx) => {
    const before = await countReads(tx);
    const found = await work(tx);
    return { found, reads: (await countReads(tx)) - before };
  });
}

async function countReads(tx: Queryable): Promise<number> {
  const [rows] = await tx.execute(sql`SHOW SESSION STATUS LIKE 'Handler_read%'`);
  return (rows as unknown as { Value: string }[]).reduce((sum, { Value }) => sum + Number(Value), 0);
}
