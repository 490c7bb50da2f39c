import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { periodEnd, periodStart } from '../../src/domain/statistics.ts';
import { startOfDay } from '../../src/domain/timezone.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { startProcess, until } from '../support/processes.ts';

const ADMIN = 2;
const HOST = hostname();
let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let root: Caller;
beforeAll(async () => {
  // A shorter lease is lost where the machine stands still for a second or two.
  env = await createEnvironment({ TICK_SECONDS: '1', LEASE_SECONDS: '10', RUNNERS: '1' });
  await seedFirstStart(env.db, env.config.seed);
  await env.query("UPDATE jobs SET state = 'idle', due_at = NULL, enabled = FALSE");
  api = await startApi(env);
  [admin, root] = [await api.signIn('admin'), await api.signIn('root')];
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const refused = (status: number, message: string, empty: unknown = {}) => ({
  status,
  body: { message, is_error: true, object: empty, status_code: status },
});

describe('statistics', () => {
  const FIELDS =
    'runs,failed,job_count,avg_runtime,max_runtime,min_runtime,total_jobs,total_enabled,avg_job_lag,max_job_lag,min_job_lag,period,start_dt,end_dt,created_at,updated_at';

  test.each([
    ['minutely', 'Minutely', 'minute', 60],
    ['hourly', 'Hourly', 'hour', 24],
    ['daily', 'Daily', 'day', 7],
    ['weekly', 'Weekly', 'week', 4],
  ] as const)(
    '%s: the newest periods, oldest first, and those between two dates',
    async (name, word, period, shown) => {
      const last = periodStart(period, new Date());
      const step = periodEnd(period, last).getTime() - last.getTime();
      const start = (back: number) => new Date(last.getTime() - back * step);
      for (let back = shown + 9; back >= 0; back--) {
        await env.query(
          `INSERT INTO job_stats (user_id, period, start_at, end_at, runs, failed, job_count, duration_count, duration_sum_ms,
           duration_min_ms, duration_max_ms, lag_count, lag_sum_ms, lag_min_ms, lag_max_ms, total_jobs, enabled_jobs)
         VALUES (?, ?, ?, ?, 4, 1, 2, 4, 10000, 1000, 4000, 2, 3000, 500, 2500, 3, 2)`,
          [ADMIN, period, start(back), start(back - 1)],
        );
      }
      const { body, headers } = await admin('GET', `/job_server_api/${name}_job_stats?per_page=100`);
      expect(body).toMatchObject({ message: `${word} job stats received successfully.`, object_type: 'jobstats' });
      expect(headers.get('total')).toBe(String(shown));
      expect(body.object.map((row: Record<string, string>) => row['start_dt'])).toEqual(
        Array.from({ length: shown }, (_, index) => start(shown - 1 - index).toISOString()),
      );
      expect(Object.keys(body.object[0]).join()).toBe(FIELDS);
      expect(body.object[0]).toMatchObject({
        ...{ runs: 4, failed: 1, job_count: 2, avg_runtime: 2.5, max_runtime: 4, min_runtime: 1, total_jobs: 3 },
        ...{ total_enabled: 2, avg_job_lag: 1.5, max_job_lag: 3, min_job_lag: 1, period },
      });
      const span = new URLSearchParams({ start_date: start(5).toISOString(), end_date: start(2).toISOString() });
      const between = await admin('GET', `/job_server_api/${name}_job_stats?${span}`);
      expect(between.body.object).toHaveLength(3);
      expect((await root('GET', `/job_server_api/${name}_job_stats`)).body.object).toEqual([]);
      expect(await admin('GET', `/job_server_api/${name}_job_stats?start_date=oops`)).toMatchObject(
        refused(422, "Start date 'oops' is not a date"),
      );
    },
  );

  test('of today sum and average the minutes, with the slope over them', async () => {
    await env.query("DELETE FROM job_stats WHERE period = 'minute'");
    const zone = 'Asia/Kolkata';
    const day = startOfDay(new Date(), zone).getTime();
    const rows = [
      [-1, 9, 9, 9, 90_000, 9000, 9000],
      [0, 1, 0, 1, 2000, 2000, 2000],
      [1, 0, 0, 0, 0, 0, 0],
      [2, 3, 2, 3, 10_000, 1000, 6000],
    ];
    for (const [minute = 0, ...values] of rows) {
      await env.query(
        `INSERT INTO job_stats (user_id, period, start_at, end_at, runs, failed, duration_count, duration_sum_ms, duration_min_ms,
           duration_max_ms, total_jobs, enabled_jobs) VALUES (?, 'minute', ?, ?, ?, ?, ?, ?, ?, ?, 3, 2)`,
        [ADMIN, new Date(day + minute * 60_000), new Date(day + (minute + 1) * 60_000), ...values],
      );
    }
    const { body } = await admin('GET', `/job_server_api/todays_stats?timezone=${zone}`);
    expect(body).toMatchObject({ message: "Today's Stats received successfully.", object_type: 'todaysstats' });
    expect(body.object).toEqual({
      ...{ total_jobs: 3, total_jobs_trend: 0, enabled_jobs: 2, enabled_jobs_trend: 0 },
      ...{ run_jobs: 4, run_jobs_trend: 1, failed_jobs: 2, failed_jobs_trend: 1 },
      ...{ avg_job_runtime: 3, avg_job_runtime_trend: expect.closeTo(2 / 3, 6) },
      ...{ max_job_runtime: 6, max_job_runtime_trend: 2, min_job_runtime: 1, min_job_runtime_trend: -0.5 },
      ...{
        avg_job_lag: 0,
        avg_job_lag_trend: 0,
        max_job_lag: 0,
        max_job_lag_trend: 0,
        min_job_lag: 0,
        min_job_lag_trend: 0,
      },
    });
    const empty = (await root('GET', '/job_server_api/todays_stats')).body.object;
    expect(Object.values(empty).every((value) => value === 0)).toBe(true);
  });
});

describe('recent and upcoming jobs', () => {
  test('are as many as asked for, in their order', async () => {
    const names = (answer: { body: { object: { name: string }[] } }) => answer.body.object.map(({ name }) => name);
    const at = (minutes: number) => new Date(Date.now() + minutes * 60_000);
    for (let n = 1; n <= 25; n++) {
      const id = await addJob(env, {
        userId: ADMIN,
        name: `job ${n}`,
        state: 'idle',
        nextRun: at(600 + n),
        lastRun: at(-n),
      });
      await env.query(
        `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at) VALUES (?, ?, 'manual', 1, 1, 'w', ?)`,
        [id, ADMIN, at(-n)],
      );
    }
    await addJob(env, { userId: ADMIN, name: 'off', state: 'idle', enabled: false, nextRun: at(1) });
    await addJob(env, { userId: 9, name: 'other’s', state: 'idle', nextRun: at(1), lastRun: at(0) });
    const recent = await admin('GET', '/job_server_api/recent_jobs?count=3');
    expect(recent.body).toMatchObject({ message: 'Recently run jobs received successfully.', object_type: 'jobs' });
    expect(names(recent)).toEqual(['job 1', 'job 2', 'job 3']);
    const upcoming = await admin('GET', '/job_server_api/upcoming_jobs?count=2');
    expect(upcoming.body).toMatchObject({ message: 'Upcoming jobs received successfully.', object_type: 'jobs' });
    expect(names(upcoming)).toEqual(['job 1', 'job 2']);
    for (const route of ['recent', 'upcoming']) {
      const length = async (count: string) =>
        (await admin('GET', `/job_server_api/${route}_jobs${count}`)).body.object.length;
      expect([await length('?count=20'), await length(''), await length('?count=oops')]).toEqual([20, 10, 10]);
      expect(await admin('GET', `/job_server_api/${route}_jobs?count=21`)).toMatchObject(
        refused(406, "The 'count' parameter must be less than 20.", []),
      );
      expect((await root('GET', `/job_server_api/${route}_jobs`)).body.object).toEqual([]);
    }
    await env.query('DELETE FROM jobs WHERE user_id = 9 OR name LIKE ?', ['job %']);
  });
});

describe('workers', () => {
  test('are quiesced, resumed and stopped by their host; what runs goes on', async () => {
    const worker = startProcess('worker', env.env);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    const folder = mkdtempSync(join(tmpdir(), 'bjr-workers-test-'));
    const gate = join(folder, 'gate');
    const command = `until [ -e ${gate} ]; do sleep 0.05; done; echo done`;
    const running = await addJob(env, { userId: ADMIN, command, cron: '0 0 1 1 *' });
    const outcomes = (id: number) => env.query('SELECT outcome FROM job_runs WHERE job_id = ?', [id]);
    await until(async () => (await outcomes(running)).length === 1, 'the run');
    const busy = async () => (await admin('GET', '/job_server_api/busy_thread_count')).body.object;
    await until(async () => (await busy()).busy_thread_count === 1, 'the heartbeat');
    expect((await busy()).workers).toMatchObject([{ host: HOST, busy: 1, threads: 10, quiet: false }]);

    const quiesced = await admin('POST', `/job_server_api/quiesce_worker?host=${HOST}`);
    expect(quiesced.body).toMatchObject({
      message: 'Workers have been told to stop accepting new work and to finish current work.',
      object_type: 'workers',
      status_code: 200,
    });
    expect((await busy()).workers).toMatchObject([{ quiet: true }]);
    const waiting = await addJob(env, { userId: ADMIN, cron: '0 0 1 1 *' });
    // It wakes the workers: one that were not quiet would claim at once.
    const another = await addJob(env, { userId: ADMIN, cron: '0 0 1 1 *', state: 'idle', nextRun: null });
    expect((await admin('POST', `/job_api/${another}/run_now`)).status).toBe(200);
    writeFileSync(gate, '');
    await until(async () => (await outcomes(running))[0]?.['outcome'] === 'succeeded', 'the end of what ran');
    expect([await outcomes(waiting), await outcomes(another)]).toEqual([[], []]);

    expect((await admin('POST', '/job_server_api/resume_worker', { host: HOST })).status).toBe(200);
    await until(async () => (await outcomes(waiting))[0]?.['outcome'] === 'succeeded', 'what had waited');

    expect(await admin('POST', `/job_server_api/stop_worker?host=${HOST}`)).toMatchObject(
      refused(401, 'You are not authorized to perform this action.'),
    );
    expect((await root('POST', `/job_server_api/stop_worker?host=${HOST}`)).status).toBe(200);
    expect(await worker.ended).toBe(0);
    rmSync(folder, { recursive: true });
  });

  test('need a host on which one is alive', async () => {
    for (const command of ['quiesce', 'resume']) {
      expect(await admin('POST', `/job_server_api/${command}_worker`)).toMatchObject(
        refused(400, "The 'host' parameter is required for this API call."),
      );
      expect((await admin('POST', `/job_server_api/${command}_worker?host=nowhere`)).status).toBe(404);
    }
    expect((await root('POST', '/job_server_api/stop_worker?host=nowhere')).status).toBe(404);
  });

  test('cannot be told anything without Redis', async () => {
    const alone = await startApi(env, { REDIS_PORT: '1' });
    const caller = await alone.signIn('root');
    expect((await caller('GET', '/job_server_api/busy_thread_count')).status).toBe(503);
    for (const command of ['quiesce', 'resume', 'stop']) {
      expect((await caller('POST', `/job_server_api/${command}_worker?host=${HOST}`)).status).toBe(503);
    }
    await alone.process.end('SIGTERM');
  });
});
