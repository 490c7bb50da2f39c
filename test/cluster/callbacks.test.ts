import { createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { pruneDeliveries } from '../../src/store/deliveries.ts';
import { pruneRuns } from '../../src/store/pruneRuns.ts';
import { purgeDeleted } from '../../src/store/purgeDeleted.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { type Process, startProcess, until } from '../support/processes.ts';
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts';

const QUICK = { LEASE_SECONDS: '3', TICK_SECONDS: '1', KILL_GRACE_SECONDS: '1', RUNNERS: '1' };

describe('callbacks', () => {
  let env: TestEnvironment;
  let api: ApiServer;
  let admin: Caller;
  let userId: number;
  let receiver: Receiver;
  let workers: Process[] = [];
  beforeAll(async () => {
    env = await createEnvironment({ ...QUICK, CALLBACK_PRIVATE_TARGETS: 'on' });
    await seedFirstStart(env.db, env.config.seed);
    api = await startApi(env);
    admin = await api.signIn('admin');
    userId = (await admin('GET', '/user_api')).body.object[0].id;
  });
  beforeEach(async () => {
    for (const table of ['jobs', 'job_runs', 'run_outputs', 'deliveries', 'delivery_attempts'])
      await env.query('DELETE FROM ??', [table]);
    receiver = await startReceiver();
  });
  afterEach(async () => {
    for (const worker of workers) await worker.end('SIGKILL');
    workers = [];
    await receiver.close();
  });
  afterAll(async () => {
    await api.process.end('SIGTERM');
    await env.close();
  });

  const startWorker = async (settings: Record<string, string> = {}) => {
    const worker = startProcess('worker', { ...env.env, ...settings });
    workers.push(worker);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    return worker;
  };
  /** Due now, once. */
  const addOne = (command: string, more: Parameters<typeof addJob>[1] = {}) =>
    addJob(env, {
      userId,
      command,
      cron: '0 0 1 1 *',
      successCallback: `${receiver.url}/ok`,
      failureCallback: `${receiver.url}/bad`,
      ...more,
    });
  const deliveriesOf = async (jobId: number) => (await admin('GET', `/job_api/${jobId}/deliveries`)).body.object;
  const settled = async (jobId: number) => {
    await until(async () => (await deliveriesOf(jobId))[0]?.state === 'delivered', 'the delivery', 60_000);
    const [delivery] = await deliveriesOf(jobId);
    return (await admin('GET', `/delivery_api/${delivery.id}`)).body.object;
  };
  const dueNow = () => env.query("UPDATE deliveries SET next_attempt_at = UTC_TIMESTAMP(6) WHERE state = 'pending'");

  test('tell a success and a failure, each to its URL, as JSON with the fields of the contract', async () => {
    const ok = await addOne('echo out');
    await startWorker();
    await receiver.count(1);
    const bad = await addOne('echo err >&2; exit 3');
    const [first, second] = await receiver.count(2);
    expect([first?.path, second?.path]).toEqual(['/ok', '/bad']);
    expect(first?.headers['content-type']).toBe('application/json');
    const body = JSON.parse(first?.body ?? '');
    expect(Object.keys(body).slice(0, 8).join()).toBe(
      'job_id,success,return_code,error_message,stdout,stderr,start_time,end_time',
    );
    const [run] = (await admin('GET', `/job_api/${ok}/runs`)).body.object;
    const { start_time, end_time, scheduled_start_time } = run;
    expect(body).toMatchObject({
      job_id: ok,
      success: true,
      return_code: 0,
      error_message: '',
      stdout: 'out\n',
      stderr: '',
    });
    expect(body).toMatchObject({
      run_id: run.id,
      start_time,
      end_time,
      scheduled_start_time,
      outcome: 'succeeded',
      attempt: 1,
    });
    expect(JSON.parse(second?.body ?? '')).toMatchObject({
      job_id: bad,
      success: false,
      return_code: 3,
      stderr: 'err\n',
    });
  });

  test('are signed with the secret of their user, over the time and the body', async () => {
    const { secret } = (await admin('GET', '/callback_api/secret')).body.object;
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    await addOne('echo signed');
    await startWorker();
    const signature = async (n: number) => {
      const { headers, body } = (await receiver.count(n)).at(n - 1) as Received;
      const [, t = '', v1] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(String(headers['x-bjr-signature'])) ?? [];
      expect(Math.abs(Date.now() / 1000 - Number(t))).toBeLessThan(60);
      return { v1, by: (key: string) => createHmac('sha256', key).update(`${t}.${body}`).digest('hex') };
    };
    const before = await signature(1);
    expect(before.v1).toBe(before.by(secret));

    const { secret: next } = (await admin('POST', '/callback_api/secret')).body.object;
    expect([next === secret, (await admin('GET', '/callback_api/secret')).body.object.secret]).toEqual([false, next]);
    await addOne('echo signed');
    const after = await signature(2);
    expect(after.v1).toBe(after.by(next));
  });

  test('that fail are tried again with the same delivery id, and the log says what happened', async () => {
    const jobId = await addOne('true');
    receiver.answer((response) => response.writeHead(503).end('not now'));
    const worker = await startWorker();
    await worker.event('callback_failed');
    const [waiting] = await deliveriesOf(jobId);
    expect(waiting).toMatchObject({ state: 'pending', attempts: 1, last_status: 503, last_error: 'It answered 503' });
    expect(new Date(waiting.next_attempt_at).getTime()).toBeGreaterThan(new Date(waiting.updated_at).getTime() + 3000);
    receiver.answer((response) => response.writeHead(200).end());
    await dueNow();
    const delivery = await settled(jobId);
    expect(delivery).toMatchObject({ state: 'delivered', attempts: 2, last_status: 200, last_error: '' });
    expect(delivery.next_attempt_at).toBeUndefined();
    expect(
      delivery.tries.map((one: { attempt: number; status: number; error: string }) => [
        one.attempt,
        one.status,
        one.error,
      ]),
    ).toEqual([
      [2, 200, ''],
      [1, 503, 'It answered 503'],
    ]);
    expect(receiver.received.map(({ headers }) => headers['x-bjr-delivery'])).toEqual([
      `${delivery.id}`,
      `${delivery.id}`,
    ]);
  });

  test('are given up after a day, and delivered again when that is asked for', async () => {
    const jobId = await addOne('true');
    receiver.answer((response) => response.writeHead(500).end());
    const worker = await startWorker();
    await worker.event('callback_failed');
    await env.query('UPDATE deliveries SET queued_at = queued_at - INTERVAL 25 HOUR');
    await dueNow();
    await worker.line((line) => line['isGivenUp'] === true);
    const [{ id }] = await deliveriesOf(jobId);
    expect(await deliveriesOf(jobId)).toMatchObject([{ state: 'failed', attempts: 2 }]);
    receiver.answer((response) => response.writeHead(204).end());
    expect((await admin('POST', `/delivery_api/${id}/redeliver`)).body.message).toBe(`Delivery ${id} queued.`);
    expect(await settled(jobId)).toMatchObject({ attempts: 3 });
    const audited = await env.query("SELECT operation FROM audit_entries WHERE operation = 'redeliver'");
    expect(audited).toHaveLength(1);
  });

  test('whose worker is killed in the midst are taken up by another', async () => {
    const jobId = await addOne('true');
    receiver.answer(() => {});
    const worker = await startWorker();
    await receiver.count(1);
    await worker.end('SIGKILL');
    receiver.answer((response) => response.writeHead(204).end());
    await startWorker();
    expect(await deliveriesOf(jobId)).toMatchObject([{ state: 'pending', attempts: 1 }]);
    await dueNow();
    expect(await settled(jobId)).toMatchObject({ attempts: 2 });
  });

  test('to a receiver that hangs or floods delay no run and nobody else', async () => {
    receiver.answer((response, { path }) => {
      if (path === '/hang') return;
      response.writeHead(200);
      const flood = () => {
        while (response.write('x'.repeat(65_536))) if (response.destroyed) return;
        response.once('drain', flood);
      };
      flood();
    });
    const hanging = await Promise.all(
      Array.from({ length: 20 }, () => addOne('true', { successCallback: `${receiver.url}/hang` })),
    );
    await startWorker();
    await until(
      async () => (await env.query('SELECT 1 FROM job_runs WHERE outcome IS NOT NULL')).length === hanging.length,
      'the runs, for which nobody waits',
    );
    expect(await env.query("SELECT 1 FROM deliveries WHERE state = 'pending'")).toHaveLength(20);
    const other = await addOne('true', { userId: userId + 1, successCallback: `${receiver.url}/flood` });
    await until(
      async () =>
        (await env.query("SELECT 1 FROM deliveries WHERE job_id = ? AND state = 'delivered'", [other])).length === 1,
      "another user's callback",
      60_000,
    );
    expect(receiver.received.filter(({ path }) => path === '/hang').length).toBeLessThanOrEqual(4);
  });

  test.each([
    ['follow a redirect on the same host', (url: string) => `${url}/next`, { state: 'delivered', error: '' }],
    [
      'follow none to another',
      () => 'http://localhost:1/',
      { state: 'pending', error: 'It redirects to another host: http://localhost:1' },
    ],
    ['follow no circle', (url: string) => `${url}/ok`, { state: 'pending', error: 'It redirects more than 3 times' }],
  ])('%s', async (_, location, { state, error }) => {
    const jobId = await addOne('true');
    receiver.answer((response, { path }) => {
      if (path === '/next') response.writeHead(204).end();
      else response.writeHead(307, { location: location(receiver.url) }).end();
    });
    const worker = await startWorker({ LOG_LEVEL: 'debug' });
    await worker.line((line) => String(line['event']).startsWith('callback_'));
    expect(await deliveriesOf(jobId)).toMatchObject([{ state, last_error: error }]);
    expect(receiver.received.at(-1)?.body).toContain('"job_id"');
  });

  test.each([
    ['an address', (url: string) => url],
    ['a name that resolves to one', (url: string) => url.replace('127.0.0.1', 'localhost')],
    ['IPv6', (url: string) => url.replace('127.0.0.1', '[::ffff:127.0.0.1]')],
    ['a number', (url: string) => url.replace('127.0.0.1', '2130706433')],
    ['link-local', () => 'http://169.254.169.254/latest/meta-data'],
  ])('go to nothing private unless that is allowed: %s', async (_, of) => {
    const jobId = await addOne('true', { successCallback: of(receiver.url) });
    const worker = await startWorker({ CALLBACK_PRIVATE_TARGETS: 'off', LOG_LEVEL: 'debug' });
    await worker.line((line) => String(line['event']).startsWith('callback_'));
    const [delivery] = await deliveriesOf(jobId);
    expect(delivery).toMatchObject({
      state: 'pending',
      last_error: expect.stringContaining('is not a public address'),
    });
    expect(receiver.received).toEqual([]);
  });

  test('carry the user and password of their URL in the header that they stand for', async () => {
    await addOne('true', { successCallback: receiver.url.replace('//', '//me:p%40ss@') });
    await startWorker();
    const [{ headers } = { headers: {} as Record<string, string> }] = await receiver.count(1);
    expect(headers['authorization']).toBe(`Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  });

  test('tell the last try of a run, and with the policy "change" only what is new', async () => {
    const retried = await addOne('exit 1', { maxRetries: 1, retryDelaySeconds: 0 });
    await startWorker();
    await receiver.count(1);
    expect(JSON.parse(receiver.received[0]?.body ?? '')).toMatchObject({ job_id: retried, attempt: 2 });
    const jobId = await addOne('exit 1', { callbackPolicy: 'change', state: 'idle', nextRun: null });
    const ended = async () => {
      const runs = await env.query('SELECT 1 FROM job_runs WHERE job_id = ? AND outcome IS NOT NULL', [jobId]);
      return runs.length;
    };
    const runOnce = async (command: string) => {
      const before = await ended();
      expect((await admin('PUT', `/job_api/${jobId}`, { command })).status).toBe(200);
      expect((await admin('POST', `/job_api/${jobId}/run_now`)).status).toBe(200);
      await until(async () => (await ended()) > before, 'the end of the run');
    };
    for (const command of ['exit 1', 'exit 1', 'exit 2']) await runOnce(command);
    // Two that wait at once may arrive in any order.
    await receiver.count(2);
    for (const command of ['true', 'true']) await runOnce(command);
    await receiver.count(3);
    expect(receiver.received.slice(1).map(({ path }) => path)).toEqual(['/bad', '/ok']);
    expect(await deliveriesOf(jobId)).toHaveLength(2);
  });

  test('a lost run is told too', async () => {
    await addOne('sleep 300');
    const worker = await startWorker();
    await until(async () => (await env.query("SELECT 1 FROM jobs WHERE state = 'leased'")).length === 1, 'the lease');
    await worker.end('SIGKILL');
    await startWorker();
    const [{ path, body } = { path: '', body: '{}' }] = await receiver.count(1);
    expect([path, JSON.parse(body).outcome, JSON.parse(body).return_code]).toEqual(['/bad', 'lost', -1]);
  });

  test('keep their run until they are delivered, and are forgotten with their time or their job', async () => {
    const jobId = await addOne('true', { keepRuns: 1 });
    receiver.answer((response) => response.writeHead(500).end());
    const worker = await startWorker();
    await worker.event('callback_failed');
    await env.query(
      `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at, finished_at, outcome)
       VALUES (?, ?, 'manual', 1, 9, 'w', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 'succeeded')`,
      [jobId, userId],
    );
    expect(await pruneRuns(env.db, { afterJobId: 0, startedBefore: new Date(Date.now() + 60_000) })).toMatchObject({
      runs: 0,
    });
    expect(await pruneDeliveries(env.db, 1)).toBe(0);
    await env.query('UPDATE deliveries SET created_at = created_at - INTERVAL 3 DAY');
    expect(await pruneDeliveries(env.db, 1)).toBe(0);
    receiver.answer((response) => response.writeHead(204).end());
    await dueNow();
    await settled(jobId);
    expect(await pruneRuns(env.db, { afterJobId: 0, startedBefore: new Date(Date.now() + 60_000) })).toMatchObject({
      runs: 1,
    });
    expect(await pruneDeliveries(env.db, 1)).toBe(1);
    expect(await env.query('SELECT 1 FROM delivery_attempts')).toEqual([]);

    await env.query('INSERT INTO deliveries (job_id, user_id, run_id, url) VALUES (?, ?, 1, ?)', [
      jobId,
      userId,
      'https://x.example',
    ]);
    await admin('DELETE', `/job_api/${jobId}`);
    await purgeDeleted(env.db, new Date(Date.now() + 60_000));
    expect(await env.query('SELECT 1 FROM deliveries')).toEqual([]);
  });
});
