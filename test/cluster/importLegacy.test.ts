import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scheduleOf } from '../../src/domain/schedule.ts';
import { addRun, type RunningSums } from '../../src/domain/statistics.ts';
import { startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { LEGACY_PASSWORD, makeLegacyDatabase } from '../support/legacyDatabase.ts';
import { startProcess } from '../support/processes.ts';

const JOBS = 200;
const RUNS = 2000;

let target: TestEnvironment;
let legacy: string;

beforeAll(async () => {
  target = await createEnvironment();
  const { host, port, username, password, name } = target.config.database;
  legacy = `${name}_legacy`;
  const account = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
  target.env['LEGACY_DATABASE_URL'] = `mysql://${account}@${host}:${port}/${legacy}`;
  await makeLegacyDatabase(target.env['LEGACY_DATABASE_URL'], { jobs: JOBS, runs: RUNS, hasFlaws: true });
});
afterAll(async () => {
  await target.query('DROP DATABASE ??', [legacy]);
  await target.close();
});

async function runImport(...args: string[]): Promise<{ code: unknown; report: string }> {
  const process = startProcess('import-legacy', target.env, args);
  return { code: await process.ended, report: process.text.join('\n') };
}

const count = async (table: string) => {
  const [row] = await target.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`);
  return row?.n;
};

const LEFT_OUT = [
  /jobs 201 'Bad cron' LEFT OUT: cron '61 \* \* \* \*' cannot be read/,
  /jobs 202 'Bad zone' LEFT OUT: time zone 'Mars\/Base' is not known/,
  /jobs 204 'Of nobody' LEFT OUT/,
  /jobs 205 'Of root' LEFT OUT/,
  /jobs 206 'No command' LEFT OUT: command: blank/,
  /folders 4 'Nothing' LEFT OUT: expression 'colour:red' cannot be read/,
  /job_runs LEFT OUT: of jobs that are not taken over: 2/,
  /job_stats LEFT OUT: days that do not begin with one of UTC: 1/,
  /tags: 1 that no job has were left out/,
];
const CHANGED = [
  /folders 3 'Half': expression 'enabled colour:red' became 'enabled'/,
  /folders 5 'nightly': the user has a folder of this name: now 'nightly \(5\)'/,
];

describe('an import of the first BJR', () => {
  test('as a dry run tells what it would do, and writes nothing', async () => {
    const { code, report } = await runImport('--dry-run');
    expect(code).toBe(3);
    for (const table of ['users', 'jobs', 'job_runs', 'folders', 'legacy_ids']) expect(await count(table)).toBe(0);
    for (const line of [...LEFT_OUT, ...CHANGED]) expect(report).toMatch(line);
    expect(report).toMatch(/^jobs +201 +0 +3 +5$/m);
    expect(report).toMatch(/^job_runs +2003 +0 +1 +2$/m);
  });

  test('that is killed goes on, takes everything once, and tells what it could not take', async () => {
    const killed = startProcess('import-legacy', target.env);
    await expect.poll(() => count('job_runs'), { timeout: 60_000, interval: 5 }).toBeGreaterThan(0);
    await killed.end('SIGKILL');
    const { code, report } = await runImport();
    expect(code).toBe(3);
    for (const line of LEFT_OUT) expect(report).toMatch(line);
    expect(await count('users')).toBe(3);
    expect(await count('jobs')).toBe(JOBS + 1);
    expect(await count('job_runs')).toBe(RUNS + 3);
    expect(await count('folders')).toBe(4);
    // Each run whose output is there there, and no other.
    const [outputs] = await target.query(
      `SELECT COUNT(*) AS there, SUM(o.run_id IS NOT NULL AND (o.stdout_truncated OR (SHA2(o.stdout, 256) = SHA2(r.stdout, 256) AND SHA2(o.stderr, 256) = SHA2(r.stderr, 256)))) AS here
       FROM ${legacy}.job_runs r LEFT JOIN run_outputs o ON o.run_id = r.id WHERE LENGTH(r.stdout) + LENGTH(r.stderr) > 0`,
    );
    expect(Number(outputs?.['here'])).toBe(outputs?.['there']);
    expect(await count('run_outputs')).toBe(outputs?.['there']);
  });

  test('that is run again doubles nothing', async () => {
    const before = await target.query('SELECT * FROM jobs ORDER BY id');
    const { code, report } = await runImport();
    expect(code).toBe(3);
    expect(report).toMatch(/^jobs +0 +201 +0 +5$/m);
    expect(report).toMatch(/^job_runs +0 +2003 +0 +2$/m);
    expect(await target.query('SELECT * FROM jobs ORDER BY id')).toEqual(before);
    expect(await count('job_runs')).toBe(RUNS + 3);
  });

  test('keeps ids, definitions, tags and schedules', async () => {
    const rows = await target.query<Record<string, any>>(
      `SELECT j.*, l.user_id AS legacy_user, l.command AS legacy_command, l.cron AS legacy_cron, UTC_TIMESTAMP(6) AS now
       FROM jobs j JOIN ${legacy}.jobs l ON l.id = j.id WHERE j.id <= ?`,
      [JOBS],
    );
    expect(rows).toHaveLength(JOBS);
    for (const row of rows) {
      expect([row['user_id'], row['command'], row['cron']]).toEqual([
        row['legacy_user'],
        row['legacy_command'],
        row['legacy_cron'],
      ]);
      const schedule = scheduleOf({ cron: row['cron'], timezone: row['timezone'], startsAt: null, endsAt: null });
      // The import was some seconds or minutes ago: its next occurrence is one of the schedule, and at most one has passed since.
      const next = row['next_run'] as Date;
      expect(schedule.next(new Date(next.getTime() - 1))).toEqual(next);
      expect(next.getTime()).toBeGreaterThan((row['now'] as Date).getTime() - 600_000);
      expect(next.getTime()).toBeLessThanOrEqual(schedule.next(row['now'])?.getTime() ?? 0);
    }
    const [zones] = await target.query("SELECT COUNT(*) AS n FROM jobs WHERE timezone = 'America/New_York'");
    expect(zones?.['n']).toBeGreaterThan(0);
    const [tagged] = await target.query('SELECT COUNT(DISTINCT job_id) AS jobs FROM job_tags');
    expect(tagged?.['jobs']).toBe(JOBS / 2);
    const [renamed] = await target.query('SELECT name FROM jobs WHERE id = ?', [JOBS + 3]);
    expect(renamed).toEqual({ name: `JOB 2 (${JOBS + 3})` });
    const [missed] = await target.query('SELECT job_id, reason, occurrence_count FROM misfires');
    expect(missed).toMatchObject({ job_id: 3, reason: 'down' });
  });

  test('leaves running sums as a recomputation has them, and statistics for each day', async () => {
    const runs = await target.query<Record<string, any>>('SELECT * FROM job_runs ORDER BY id');
    const jobs = await target.query<Record<string, any>>('SELECT * FROM jobs');
    const byJob = Map.groupBy(runs, (run) => run['job_id'] as number);
    const none: RunningSums = { count: 0, sumMs: 0, minMs: 0, maxMs: 0, weightedMs: 0 };
    for (const job of jobs) {
      const own = (byJob.get(job['id']) ?? []).filter((run) => run['outcome'] !== 'lost');
      const durations = own.reduce<RunningSums>(
        (sums, run) => addRun(sums, run['finished_at'] - run['started_at']),
        none,
      );
      const lags = own
        .filter((run) => run['scheduled_for'] && run['attempt'] === 1)
        .reduce<RunningSums>((sums, run) => addRun(sums, run['started_at'] - run['scheduled_for']), none);
      expect([
        job['duration_count'],
        job['duration_sum_ms'],
        job['duration_weighted_ms'],
        job['duration_max_ms'],
      ]).toEqual([durations.count, durations.sumMs, durations.weightedMs, durations.maxMs]);
      expect([job['lag_count'], job['lag_sum_ms'], job['lag_min_ms']]).toEqual([lags.count, lags.sumMs, lags.minMs]);
    }
    const attempts = runs.filter((run) => run['job_id'] === 1 && run['attempt'] === 2);
    expect(attempts.map((run) => run['id'])).toEqual([RUNS + 2]);
    expect(runs.find((run) => run['id'] === RUNS + 1)).toMatchObject({ outcome: 'lost' });
    const [days] = await target.query("SELECT SUM(runs) AS runs FROM job_stats WHERE period = 'day'");
    // 40 of a day of which only the statistics were left.
    expect(Number(days?.['runs'])).toBe(RUNS + 3 + 40);
    const [users] = await target.query('SELECT SUM(job_count) AS jobs FROM users');
    expect(Number(users?.['jobs'])).toBe(JOBS + 1);
  });

  test('lets its users sign in with their old passwords, and its jobs run', async () => {
    const api = await startApi(target);
    const alice = await api.signIn('alice', LEGACY_PASSWORD);
    const { body: list } = await alice('GET', '/job_api?per_page=1000');
    expect(list.object).toHaveLength(JOBS / 2);
    expect((await alice('GET', '/job_api/1/runs')).body.object[0].stdout).toContain('long');
    expect((await alice('POST', '/job_api/5/run_now')).status).toBe(200);
    const admin = await api.signIn('admin', LEGACY_PASSWORD);
    expect((await admin('GET', '/folder_api')).body.object).toHaveLength(3);
    expect((await admin('GET', '/job_api/2')).body.object.tags).toEqual(['Örtlich']);
    expect((await (await api.signIn('root', LEGACY_PASSWORD))('GET', '/user_api')).body.object).toHaveLength(3);
    // The others would keep it busy: they occur each five minutes.
    await target.query("UPDATE jobs SET enabled = FALSE, state = 'idle' WHERE id <> 5");
    const worker = startProcess('worker', { ...target.env, LOG_LEVEL: 'debug' });
    const recorded = await worker.line((line) => line['event'] === 'run_recorded' && line['jobId'] === 5);
    expect(recorded).toMatchObject({ outcome: 'succeeded' });
    expect((await alice('GET', '/job_api/5/runs')).body.object[0]).toMatchObject({ success: true, stdout: '5\n' });
    await worker.end('SIGTERM');
    await api.process.end('SIGTERM');
  });

  test('takes over nothing more for a user who was deleted here, and no date that no column takes', async () => {
    await target.query("DELETE FROM users WHERE username = 'alice'");
    await target.query('DELETE FROM jobs WHERE user_id = 3');
    await target.query(
      `INSERT INTO ??.jobs (id, user_id, name, cron, command, timezone, next_run, created_at, updated_at)
       SELECT ids.id, ids.user_id, 'Late', '0 3 * * *', 'true', 'UTC', '9999-12-31', '1000-01-01', '9999-12-31'
       FROM (SELECT 301 AS id, 2 AS user_id UNION SELECT 302, 3) AS ids`,
      [legacy],
    );
    await target.query(
      `INSERT INTO ??.job_stats (user_id, period, start_dt, runs, created_at, updated_at) VALUES (2, 'day', '9999-12-31', 1, NOW(), NOW())`,
      [legacy],
    );
    const { code, report } = await runImport();
    expect(code).toBe(3);
    expect(report).toMatch(/users 3 'alice': was deleted here/);
    expect(report).toMatch(/jobs 302 'Late' LEFT OUT: its user is not taken over/);
    expect(report).toMatch(/job_stats LEFT OUT: without a date: 1/);
    expect(await target.query('SELECT id FROM jobs WHERE id > 300')).toEqual([{ id: 301 }]);
  });
});
