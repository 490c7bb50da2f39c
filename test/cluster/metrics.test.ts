import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { insertId } from '../../src/store/database.ts';
import { deliveries, jobRuns } from '../../src/store/schema.ts';
import { type ApiServer, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { childrenOf, type Process, startProcess, until } from '../support/processes.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { type Probe, probed, sumOf } from '../support/scrape.ts';

/** A lost worker is noticed in seconds, and a machine that stands still for two ends no command. */
const QUICK = { LEASE_SECONDS: '6', TICK_SECONDS: '1', KILL_GRACE_SECONDS: '1', RUNNERS: '1', WORKER_CONCURRENCY: '7' };
const HOUR_MS = 3_600_000;
/** A node whose own clock is an hour ahead. */
const AHEAD = `--import=data:text/javascript,const{now}=Date;Date.now=()=>now()+${HOUR_MS}`;
/** Once: its next occurrence is far. */
const ONCE = { cron: '0 0 1 1 *' };

const startWorker = async (settings: Record<string, string>) => {
  const worker = startProcess('worker', settings);
  await worker.line((line) => line['msg'] === 'The worker is ready');
  return worker;
};
/** The value, once it is that or more. */
const reached = async (probe: Probe, name: string, labels: Record<string, string>, least: number) => {
  let value = 0;
  await until(
    async () => {
      value = (await probe.value(name, labels)) ?? 0;
      return value >= least;
    },
    `${name} ${JSON.stringify(labels)} to be ${least}`,
  );
  return value;
};

describe("a worker's metrics", () => {
  let env: TestEnvironment;
  let folder: string;
  let worker: Process;
  let probe: Probe;
  let receiver: Receiver;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bjr-metrics-'));
    receiver = await startReceiver();
    env = await createEnvironment({ ...QUICK, CALLBACK_PRIVATE_TARGETS: 'on', STATE_DIRECTORY: folder });
    const own = await probed();
    probe = own.probe;
    worker = await startWorker({ ...env.env, ...own.settings, NODE_OPTIONS: AHEAD });
  });
  afterAll(async () => {
    await worker.end('SIGKILL');
    await receiver.close();
    await env.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const workerId = () => String(worker.log.find((line) => line['workerId'])?.['workerId']);
  /** A job under a lease that has expired, with its run. */
  const addLeased = async (leaseOwner: string) => {
    const nextRun = new Date(Date.now() + HOUR_MS);
    const jobId = await addJob(env, { ...ONCE, state: 'leased', nextRun, leaseOwner, leaseToken: 1, dueAt: null });
    const run = { jobId, userId: 1, trigger: 'manual' as const, attempt: 1, leaseToken: 1, workerId: leaseOwner };
    const runId = insertId(await env.db.insert(jobRuns).values({ ...run, startedAt: new Date() }));
    await env.query(
      'UPDATE jobs SET run_id = ?, lease_expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE id = ?',
      [runId, jobId],
    );
  };

  test('count how runs end, how long they take and how late they start', async () => {
    const before = await probe.scrape();
    expect(sumOf(before, 'bjr_runs_total')).toBe(0);
    await addJob(env, ONCE);
    await addJob(env, { ...ONCE, command: 'exit 3' });
    await addJob(env, { ...ONCE, command: 'sleep 300', timeoutSeconds: 1 });
    const canceled = await addJob(env, { ...ONCE, command: 'sleep 300' });
    await reached(probe, 'bjr_slots_busy', {}, 1);
    await until(async () => {
      await env.query('UPDATE job_runs SET cancel_requested_at = UTC_TIMESTAMP(6) WHERE job_id = ?', [canceled]);
      return (await probe.value('bjr_runs_total')) === 4;
    }, 'four ends');
    const after = await probe.scrape();
    for (const outcome of ['succeeded', 'failed', 'timed_out', 'canceled'])
      expect([outcome, sumOf(after, 'bjr_runs_total', { outcome })]).toEqual([outcome, 1]);
    expect(sumOf(after, 'bjr_run_duration_seconds_count')).toBe(4);
    expect(sumOf(after, 'bjr_run_duration_seconds_sum')).toBeGreaterThan(1);
    expect(sumOf(after, 'bjr_start_lag_seconds_count')).toBe(4);
    expect(sumOf(after, 'bjr_start_lag_seconds_sum')).toBeGreaterThan(0);
    expect(sumOf(after, 'bjr_claim_duration_seconds_count')).toBeGreaterThan(0);
    expect(sumOf(after, 'bjr_slots')).toBe(7);
    await until(async () => (await probe.value('bjr_slots_busy')) === 0, 'free slots');
  });

  test('a run by hand and a retry have no lag', async () => {
    const before = await probe.value('bjr_start_lag_seconds_count');
    const ends = (await probe.value('bjr_runs_total')) ?? 0;
    const later = { ...ONCE, nextRun: new Date(Date.now() + HOUR_MS), dueAt: new Date() };
    await addJob(env, { ...later, trigger: 'manual' });
    await addJob(env, { ...later, trigger: 'retry', attempt: 2, scheduledFor: new Date(Date.now() - HOUR_MS) });
    await reached(probe, 'bjr_runs_total', {}, ends + 2);
    expect(await probe.value('bjr_start_lag_seconds_count')).toBe(before);
  });

  test('count misfires by their reason, lost and returned leases, broken schedules', async () => {
    // Passed over by its policy.
    await addJob(env, { cron: '* * * * *', nextRun: new Date(Date.now() - HOUR_MS), misfirePolicy: 'skip' });
    // Occurrences pass while it runs.
    const overlapping = await addJob(env, { cron: '* * * * * *', command: 'sleep 3', nextRun: new Date() });
    // Its worker is gone.
    await addLeased('a worker that is gone');
    await env.query(
      "UPDATE jobs SET next_run = UTC_TIMESTAMP(6) - INTERVAL 1 HOUR, cron = '* * * * *' WHERE lease_owner = ?",
      ['a worker that is gone'],
    );
    // It does not know of it: the answer to its claim was lost.
    await addLeased(workerId());
    await addJob(env, { timezone: 'Nowhere/Here' });
    // Its lease moves on while it runs: the next renewal ends it.
    const lost = await addJob(env, { ...ONCE, command: 'sleep 300' });
    await until(async () => {
      const [row] = await env.query<{ n: number }>("SELECT COUNT(*) AS n FROM jobs WHERE id = ? AND state = 'leased'", [
        lost,
      ]);
      return row?.n === 1;
    }, 'its lease');
    await env.query('UPDATE jobs SET lease_token = lease_token + 1, state = ?, due_at = NULL WHERE id = ?', [
      'idle',
      lost,
    ]);
    for (const reason of ['down', 'overlap', 'lost'])
      expect(await reached(probe, 'bjr_misfires_total', { reason }, 1)).toBeGreaterThan(0);
    await env.query('UPDATE jobs SET enabled = 0 WHERE id = ?', [overlapping]);
    await reached(probe, 'bjr_runs_total', { outcome: 'lost' }, 1);
    expect(await reached(probe, 'bjr_leases_lost_total', {}, 1)).toBe(1);
    await reached(probe, 'bjr_leases_released_total', {}, 1);
    expect(await reached(probe, 'bjr_broken_schedules_total', {}, 1)).toBe(1);
  });

  test('count transactions that were run again', async () => {
    const locked = join(folder, 'locked');
    const id = await addJob(env, { ...ONCE, command: `until [ -e ${locked} ]; do sleep 0.1; done` });
    const { host, port, username: user, password, name: database } = env.config.database;
    const other = await mysql.createConnection({ host, port, user, password, database });
    await until(async () => {
      const [row] = await env.query<{ state: string }>('SELECT state FROM jobs WHERE id = ?', [id]);
      return row?.state === 'leased';
    }, 'the claim');
    await other.beginTransaction();
    await other.query('SELECT id FROM jobs WHERE id = ? FOR UPDATE', [id]);
    writeFileSync(locked, '');
    const code = 'ER_LOCK_WAIT_TIMEOUT';
    // The record of the run waits for the row, and so may the renewal of its lease.
    expect(await reached(probe, 'bjr_transaction_retries_total', { code }, 1)).toBeLessThanOrEqual(2);
    await other.rollback();
    await other.end();
  });

  test('count what becomes of callbacks', async () => {
    await addJob(env, { ...ONCE, successCallback: `${receiver.url}/` });
    await reached(probe, 'bjr_callback_attempts_total', { result: 'delivered' }, 1);
    receiver.answer((response) => response.writeHead(500).end());
    await addJob(env, { ...ONCE, successCallback: `${receiver.url}/` });
    await reached(probe, 'bjr_callback_attempts_total', { result: 'retried' }, 1);
    await reached(probe, 'bjr_callbacks_pending', {}, 1);
    await env.query(
      "UPDATE deliveries SET queued_at = queued_at - INTERVAL 2 DAY, next_attempt_at = UTC_TIMESTAMP(6) WHERE state = 'pending'",
    );
    expect(await reached(probe, 'bjr_callback_attempts_total', { result: 'given_up' }, 1)).toBe(1);
  });

  test('say how the worker stands: leader, clock, database, Redis, disk', async () => {
    mkdirSync(join(folder, 'spool'), { recursive: true });
    writeFileSync(join(folder, 'spool', '1-1.outcome.json'), '{}');
    const seen = await probe.scrape();
    expect(sumOf(seen, 'bjr_leading')).toBe(1);
    // Again where a term ran out: the leader's pass may have waited for the row that a test held.
    expect(sumOf(seen, 'bjr_leader_elections_total', { by: 'redis' })).toBeGreaterThanOrEqual(1);
    expect(sumOf(seen, 'bjr_leader_elections_total', { by: 'database' })).toBe(0);
    expect(Math.round((sumOf(seen, 'bjr_clock_skew_seconds') ?? 0) / 600)).toBe(6);
    expect(sumOf(seen, 'bjr_database_up')).toBe(1);
    expect(sumOf(seen, 'bjr_redis_up')).toBe(1);
    expect(sumOf(seen, 'bjr_database_connections')).toBeGreaterThan(0);
    expect(sumOf(seen, 'bjr_database_connections_max')).toBe(10);
    expect(sumOf(seen, 'bjr_outcomes_on_disk')).toBe(1);
    expect(sumOf(seen, 'bjr_build_info')).toBe(1);
    rmSync(join(folder, 'spool', '1-1.outcome.json'));
  });

  test('name no job, run, user or address', async () => {
    const labels = [...(await probe.scrape()).values()].flatMap(({ samples }) => samples.map((one) => one.labels));
    const names = new Set(labels.flatMap((each) => Object.keys(each)));
    expect([...names].toSorted()).toEqual([
      ...['by', 'code', 'kind', 'le', 'major', 'minor', 'outcome', 'part'],
      ...['patch', 'reason', 'result', 'space', 'state', 'type', 'version'],
    ]);
  });

  test('are there to the end of a drain, and the probes tell how far it is', async () => {
    expect((await probe.get('/readyz')).status).toBe(200);
    expect((await probe.get('/nothing')).status).toBe(404);
    await addJob(env, { ...ONCE, command: 'sleep 300' });
    await until(async () => (await probe.value('bjr_slots_busy')) === 1, 'a run');
    worker.child.kill('SIGTERM');
    await reached(probe, 'bjr_worker_quiet', {}, 1);
    expect((await probe.get('/readyz')).status).toBe(503);
    expect((await probe.get('/livez')).status).toBe(200);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
  });
});

describe('a worker', () => {
  test('that waits for its database is alive, and not ready; its metrics say what is away', async () => {
    const { settings, probe } = await probed();
    const env = await createEnvironment();
    const worker = startProcess('worker', { ...env.env, ...settings, BJR_DATABASE_PORT: '1', REDIS_PORT: '1' });
    await worker.line((line) => line['msg'] === 'Metrics and probes are served');
    expect((await probe.get('/livez')).status).toBe(200);
    expect((await probe.get('/readyz')).status).toBe(503);
    const seen = await probe.scrape();
    expect(sumOf(seen, 'bjr_database_up')).toBe(0);
    expect(sumOf(seen, 'bjr_redis_up')).toBe(0);
    for (const name of ['bjr_due_jobs', 'bjr_clock_skew_seconds']) expect(sumOf(seen, name)).toBeUndefined();
    // Another on the same machine, with the same settings, runs all the same.
    const second = startProcess('worker', { ...env.env, ...settings });
    await second.line((line) => String(line['msg']).startsWith('No metrics and no probes here'));
    await second.line((line) => line['msg'] === 'The worker is ready');
    await Promise.all([worker.end('SIGKILL'), second.end('SIGKILL')]);
    await env.close();
  });
});

describe("the API's metrics", () => {
  let env: TestEnvironment;
  let api: ApiServer;
  let probe: Probe;
  beforeAll(async () => {
    env = await createEnvironment(QUICK);
    await seedFirstStart(env.db, env.config.seed);
    const own = await probed();
    probe = own.probe;
    api = await startApi(env, { ...own.settings, WEB_CONCURRENCY: '2' });
    await until(async () => (await probe.get('/readyz')).status === 200, 'the API to be ready');
  });
  afterAll(async () => {
    await api.process.end('SIGTERM');
    await env.close();
  });

  test('are not on its public port', async () => {
    for (const path of ['/metrics', '/livez', '/readyz']) expect((await fetch(api.url + path)).status).toBe(404);
  });

  test('add up over its processes, by the pattern of the route, and keep what a dead one has counted', async () => {
    const admin = await api.signIn('admin');
    for (let n = 1; n <= 10; n++) await admin('GET', `/job_api/${1000 + n}`);
    for (let n = 1; n <= 4; n++) {
      await fetch(`${api.url}/made-up/${n}`, { headers: { connection: 'close' } });
      await fetch(`${api.url}/version`, { headers: { connection: 'close' } });
    }
    const seen = await probe.scrape();
    const count = (labels: Record<string, string>) => sumOf(seen, 'bjr_http_requests_total', labels);
    expect(count({ route: '/job_api/:id', method: 'GET', status: '404' })).toBe(10);
    expect(count({ route: '/authenticate', method: 'POST', status: '200' })).toBe(1);
    expect(count({ route: '/version', status: '200' })).toBe(4);
    const routes = [...(seen.get('bjr_http_requests_total')?.samples ?? [])].map(({ labels }) => labels['route']);
    expect(routes.filter((route) => route?.includes('made-up'))).toEqual([]);
    expect(count({ route: 'none', method: 'any', status: '404' })).toBeGreaterThanOrEqual(4);
    expect(sumOf(seen, 'bjr_http_request_duration_seconds_count', { route: '/job_api/:id' })).toBe(10);
    expect(sumOf(seen, 'bjr_database_connections_max')).toBe(20);

    const [first] = childrenOf(api.process.pid);
    process.kill(first ?? 0, 'SIGKILL');
    await api.process.line((line) => String(line['msg']).startsWith('An API process died'));
    expect(await probe.value('bjr_http_requests_total', { route: '/job_api/:id' })).toBe(10);
    await until(async () => (await probe.value('bjr_database_connections_max')) === 20, 'another process');
    expect(await probe.value('bjr_http_requests_total', { route: '/job_api/:id' })).toBe(10);
  });

  test('tell what waits: due jobs, occurrences that nobody marks, callbacks; and which workers are alive', async () => {
    const nextRun = new Date(Date.now() - HOUR_MS);
    expect(await probe.value('bjr_workers')).toBe(0);
    await env.query('DELETE FROM jobs');
    for (let n = 0; n < 3; n++) await addJob(env, { nextRun });
    await addJob(env, { nextRun, state: 'idle' });
    await addJob(env, { nextRun, state: 'idle', enabled: false });
    await addJob(env, { nextRun: new Date(Date.now() + HOUR_MS) });
    const delivery = { jobId: 1, userId: 1, runId: 1, url: 'http://127.0.0.1:1/', nextAttemptAt: nextRun };
    await env.db.insert(deliveries).values([delivery, { ...delivery, state: 'delivered' }]);
    await reached(probe, 'bjr_due_jobs', {}, 3);
    const seen = await probe.scrape();
    expect(sumOf(seen, 'bjr_due_jobs')).toBe(3);
    for (const name of ['due_oldest', 'unmarked_oldest', 'callbacks_overdue'])
      expect([name, Math.round((sumOf(seen, `bjr_${name}_seconds`) ?? 0) / 600)]).toEqual([name, 6]);
    expect(sumOf(seen, 'bjr_callbacks_pending')).toBe(1);
    expect(Math.abs(sumOf(seen, 'bjr_clock_skew_seconds') ?? 60)).toBeLessThan(60);

    const worker = await startWorker(env.env);
    // Its first heartbeat may come after it says that it is ready.
    await reached(probe, 'bjr_workers', { state: 'claiming' }, 1);
    await until(async () => (await probe.value('bjr_unmarked_oldest_seconds')) === 0, 'the mark');
    await worker.end('SIGKILL');
  });
});
