import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestEnvironment } from '../test/support/environment.ts';

/** A database and how many jobs its one user has. */
export interface Filled {
  env: TestEnvironment;
  jobs: number;
}

/** The user of the first start whose jobs they are. */
export const ADMIN = 2;

/** Jobs with the tag 1000, at any size, and spread over all. */
export const TAGGED = 1000;

/** A server for data of this size has more memory than the default of 128 MiB, and a longer log. */
export const BULK_ARGS = {
  mysql: ['--innodb-buffer-pool-size=2G', '--innodb-redo-log-capacity=2G'],
  mariadb: ['--innodb-buffer-pool-size=2G', '--innodb-log-file-size=2G'],
};

const BATCH = 100_000;

/**
 * Jobs made in the server from a table of numbers, by statements that write nothing to the binary log. Their ids, names and
 * next runs are in different orders, so that no index is in the order of another; none occurs for months.
 */
export async function addJobs(env: TestEnvironment, jobs: number, say: (line: string) => void): Promise<void> {
  await addNumbers(env);
  const addIndexes = await dropIndexes(env, 'jobs');
  for (let from = 0; from < jobs; from += BATCH) {
    await env.query(
      `INSERT INTO jobs (id, user_id, name, name_key, command, cron, timezone, enabled, success, next_run)
       SELECT id, ?, name, name, CONCAT('/usr/local/bin/', name, ' --all'), CONCAT(minute % 60, ' ', minute DIV 60, ' 1 ', month, ' *'),
         IF(n % 3, 'UTC', 'Europe/Berlin'), n % 5 > 0, n % 50 > 0, first + INTERVAL minute MINUTE
       FROM (
         SELECT n, 1000 + ? + n AS id, CONCAT(IF(n % 10, 'report ', 'backup '), (? + n) * 7919 % 1000003) AS name,
           (? + n) * 7907 % 1440 AS minute, MONTH(first) AS month, first
         FROM numbers CROSS JOIN (SELECT DATE_FORMAT(UTC_TIMESTAMP() + INTERVAL 6 MONTH, '%Y-%m-01') AS first) AS later
         WHERE n < ?
       ) AS rows_of_batch`,
      [ADMIN, from, from, from, Math.min(BATCH, jobs - from)],
    );
    say(`${Math.min(from + BATCH, jobs).toLocaleString('en')} jobs`);
  }
  say('their indexes …');
  await addIndexes();
  await env.query("INSERT INTO tags (id, user_id, name, name_key) VALUES (1000, ?, 'nightly', 'nightly')", [ADMIN]);
  // As many at both sizes: what a page of it costs is then a matter of the size.
  await env.query('INSERT INTO job_tags (job_id, tag_id) SELECT 1000 + n * ?, 1000 FROM numbers WHERE n < ?', [
    Math.floor(jobs / TAGGED),
    TAGGED,
  ]);
  await env.query('UPDATE users SET job_count = (SELECT COUNT(*) FROM jobs WHERE user_id = users.id)');
  await env.query('ANALYZE TABLE jobs, job_tags');
}

async function addNumbers({ query }: TestEnvironment): Promise<void> {
  await query('SET SESSION sql_log_bin = 0');
  await query('CREATE TABLE numbers (n INT PRIMARY KEY)');
  await query('INSERT INTO numbers VALUES (0)');
  for (let size = 1; size < BATCH; size *= 2) await query('INSERT INTO numbers SELECT n + ? FROM numbers', [size]);
}

/** Indexes are built faster than they are filled row by row. Resolves with what makes them again, as they were. */
async function dropIndexes({ query }: TestEnvironment, table: string): Promise<() => Promise<unknown>> {
  const [made] = await query<{ 'Create Table': string }>(`SHOW CREATE TABLE ${table}`);
  const keys = [...(made?.['Create Table'] ?? '').matchAll(/^ +((?:UNIQUE )?KEY `(\w+)` .*?),?$/gm)];
  const alter = (changes: string[]) => query(`ALTER TABLE ${table} ${changes.join(', ')}`);
  await alter(keys.map(([, , name]) => `DROP KEY \`${name}\``));
  return () => alter(keys.map(([, definition]) => `ADD ${definition}`));
}

export interface History {
  jobId: number;
  runs: number;
}

/** Of each job a run a second until an hour ago, each 50th of which failed, with a line of output. */
export async function addRuns(env: TestEnvironment, histories: History[], say: (line: string) => void): Promise<void> {
  const addIndexes = await dropIndexes(env, 'job_runs');
  let firstId = 1;
  for (const { jobId, runs } of histories) {
    for (let from = 0; from < runs; from += BATCH) {
      const count = Math.min(BATCH, runs - from);
      await env.query(
        `INSERT INTO job_runs (id, job_id, user_id, trigger_kind, scheduled_for, attempt, lease_token, worker_id, started_at,
           finished_at, outcome, return_code, error_message, created_at, updated_at)
         SELECT ? + n, ?, ?, 'schedule', at, 1, ? + n, '00000000-0000-4000-8000-000000000000', at + INTERVAL 5000 MICROSECOND,
           at + INTERVAL 50000 MICROSECOND, IF(n % 50, 'succeeded', 'failed'), IF(n % 50, 0, 1), '', at, at + INTERVAL 50000 MICROSECOND
         FROM (SELECT n, ${END} - INTERVAL ? - n SECOND AS at FROM numbers WHERE n < ?) AS rows_of_batch`,
        [firstId, jobId, ADMIN, from, runs - from, count],
      );
      await env.query(
        "INSERT INTO run_outputs (run_id, stdout, stderr) SELECT ? + n, 'hi\\n', '' FROM numbers WHERE n < ?",
        [firstId, count],
      );
      firstId += count;
      if ((from / BATCH) % 5 === 4) say(`${(from + count).toLocaleString('en')} runs of job ${jobId}`);
    }
  }
  say('their indexes …');
  await addIndexes();
  await env.query('ANALYZE TABLE job_runs, run_outputs');
}

const END = "(DATE_FORMAT(UTC_TIMESTAMP(), '%Y-%m-%d %H:00:00') - INTERVAL 1 HOUR)";

export async function diskGiB({ query }: TestEnvironment): Promise<number> {
  const [data] = await query<{ path: string }>('SELECT @@global.datadir AS path');
  const folder = data?.path ?? '';
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((bytes, { parentPath, name }) => bytes + statSync(join(parentPath, name)).size, 0) / 2 ** 30;
}
