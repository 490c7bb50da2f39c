import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { findDescriptionProblems } from '../support/description.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { isRunning, type Process, startProcess, until } from '../support/processes.ts';

const ADMIN = 2;
let env: TestEnvironment;
let api: ApiServer;
let worker: Process;
let admin: Caller;
let token: string;
let redis: Redis;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bjr-runs-test-'));
  // A shorter lease is lost where the machine stands still for a second or two.
  env = await createEnvironment({ LEASE_SECONDS: '10', KILL_GRACE_SECONDS: '1', RUNNERS: '1', TICK_SECONDS: '1' });
  await seedFirstStart(env.db, env.config.seed);
  await env.query("UPDATE jobs SET state = 'idle', due_at = NULL, enabled = FALSE");
  api = await startApi(env);
  admin = await api.signIn('admin');
  const signedIn = await api.call('POST', '/authenticate', { body: { username: 'admin', password: 'password1234' } });
  token = String(signedIn.body.auth_token);
  redis = new Redis({ host: env.config.redis.host, port: env.config.redis.port });
  worker = startProcess('worker', env.env);
  await worker.line((line) => line['msg'] === 'The worker is ready');
});
afterAll(async () => {
  redis.disconnect();
  await worker.end('SIGKILL');
  await api.process.end('SIGTERM');
  await env.close();
  rmSync(folder, { recursive: true });
});

/** What a command waits for, by `wait`, until the test opens it: so nothing depends on who is faster. */
const createGate = () => {
  const file = join(folder, crypto.randomUUID());
  return { wait: `until [ -e ${file} ]; do sleep 0.05; done`, open: () => writeFileSync(file, '') };
};

/** Starts a command and returns the id of its run. */
const start = async (command: string, job: Parameters<typeof addJob>[1] = {}): Promise<number> => {
  const jobId = await addJob(env, { userId: ADMIN, cron: '0 0 1 1 *', command, ...job });
  let runId = 0;
  await until(async () => {
    const [run] = await env.query<{ id: number }>('SELECT id FROM job_runs WHERE job_id = ?', [jobId]);
    runId = run?.id ?? 0;
    return runId > 0;
  }, 'the run');
  return runId;
};
const ended = (runId: number) =>
  until(
    async () => (await env.query('SELECT outcome FROM job_runs WHERE id = ?', [runId]))[0]?.['outcome'] !== null,
    'the end',
  );
const finished = async (command: string, job = {}) => {
  const runId = await start(command, job);
  await ended(runId);
  return runId;
};

interface FollowEvent {
  id: string | undefined;
  event: string | undefined;
  data: { stream?: string; text?: string; outcome?: string; skipped_bytes?: number };
}

/** The events of a run as they come. */
async function* follow(runId: number, lastEventId = '', server = api): AsyncGenerator<FollowEvent> {
  const response = await fetch(`${server.url}/job_run_api/${runId}/follow`, {
    headers: { authorization: token, ...(lastEventId && { 'last-event-id': lastEventId }) },
  });
  const contentType = response.headers.get('content-type') ?? '';
  const seen = {
    method: 'GET',
    path: `/job_run_api/${runId}/follow`,
    status: response.status,
    contentType,
    body: null,
  };
  expect([response.status, contentType, findDescriptionProblems(seen)]).toEqual([200, 'text/event-stream', []]);
  let rest = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const blocks = (rest + chunk).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
      if (fields['data']) yield { id: fields['id'], event: fields['event'], data: JSON.parse(fields['data']) };
    }
  }
}
const collect = async (events: AsyncIterable<FollowEvent>) => {
  const all: FollowEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
};
const textOf = (events: FollowEvent[], stream: string) =>
  events.map(({ data }) => (data.stream === stream ? data.text : '')).join('');

describe('a run', () => {
  test('is shown with what lists do not say', async () => {
    const plain = await admin('GET', `/job_run_api/${await finished('echo hi')}`);
    expect(plain.body).toMatchObject({ message: 'Job run received successfully.', object_type: 'jobrun' });
    expect(plain.body.object).toMatchObject({ success: true, stdout: 'hi\n', stderr: '', return_code: 0 });
    expect(plain.body.object).not.toHaveProperty('outcome');
    expect(plain.body.object).not.toHaveProperty('attempt');
    const late = await admin('GET', `/job_run_api/${await finished('sleep 100', { timeoutSeconds: 1 })}`);
    expect(late.body.object).toMatchObject({ success: false, outcome: 'timed_out', return_code: 143 });
    expect(await admin('GET', '/job_run_api/999999')).toMatchObject({
      status: 404,
      body: { message: 'Run not found.' },
    });
  });

  test('gives its output as text, whole and in ranges of bytes', async () => {
    const runId = await finished('printf "añb"; printf err >&2');
    const get = (range?: string, stream = '') =>
      admin('GET', `/job_run_api/${runId}/output${stream}`, undefined, range ? { range } : {});
    const whole = await get();
    expect([whole.status, whole.text, whole.headers.get('content-type')]).toEqual([
      200,
      'añb',
      'text/plain; charset=utf-8',
    ]);
    expect([whole.headers.get('accept-ranges'), whole.headers.get('bjr-output-bytes')]).toEqual(['bytes', '4']);
    expect((await get(undefined, '?stream=stderr')).text).toBe('err');
    for (const [range, part, of] of [
      ['bytes=0-0', 'a', 'bytes 0-0/4'],
      ['bytes=1-2', 'ñ', 'bytes 1-2/4'],
      ['bytes=3-', 'b', 'bytes 3-3/4'],
      ['bytes=-3', 'ñb', 'bytes 1-3/4'],
      ['bytes=0-999', 'añb', 'bytes 0-3/4'],
    ] as const) {
      const answer = await get(range);
      expect([answer.status, answer.text, answer.headers.get('content-range')]).toEqual([206, part, of]);
    }
    expect(await get('bytes=4-')).toMatchObject({ status: 416 });
    expect((await get('bytes=4-')).headers.get('content-range')).toBe('bytes */4');
    for (const ignored of ['bytes=', 'bytes=2-1', 'lines=1-2', 'bytes=0-0,2-3'])
      expect((await get(ignored)).status).toBe(200);
    expect((await get(undefined, '?stream=stdin')).body.message).toBe('Stream must be one of stdout, stderr');
  });
});

describe('following a run', () => {
  test('hears its lines before its end, whole characters, and how it ended', async () => {
    const gate = createGate();
    const runId = await start(
      `echo one; printf "\\342\\202"; ${gate.wait}; printf "\\254\\n"; echo oops >&2; sleep 1; exit 3`,
    );
    const heard: FollowEvent[] = [];
    for await (const event of follow(runId)) {
      if (heard.length === 0) {
        const [run] = await env.query('SELECT outcome FROM job_runs WHERE id = ?', [runId]);
        expect([event.data.text, run?.['outcome']]).toEqual(['one\n', null]);
        expect((await admin('GET', `/job_run_api/${runId}/output`)).text).toBe('one\n');
        gate.open();
      }
      heard.push(event);
    }
    expect(textOf(heard, 'stdout')).toBe('one\n€\n');
    expect(textOf(heard, 'stderr')).toBe('oops\n');
    expect(heard.at(-1)).toMatchObject({ event: 'end', data: { outcome: 'failed', return_code: 3 } });
  });

  test('goes on where it broke off, with nothing missed and nothing doubled', async () => {
    const gate = createGate();
    const runId = await start(`echo line 1; ${gate.wait}; for i in 2 3 4 5 6; do echo line $i; sleep 0.4; done`);
    let first: FollowEvent | undefined;
    for await (const event of follow(runId)) {
      first = event;
      break;
    }
    gate.open();
    const rest = await collect(follow(runId, first?.id));
    const all = [...(first ? [first] : []), ...rest];
    expect(all.some(({ data }) => data.skipped_bytes)).toBe(false);
    expect(textOf(all, 'stdout')).toBe('line 1\nline 2\nline 3\nline 4\nline 5\nline 6\n');
    expect(await collect(follow(runId, rest.at(-2)?.id))).toEqual(rest.slice(-1));
  });

  test('of a run that is over hears all of it again', async () => {
    const runId = await finished('echo done; echo oops >&2');
    const events = await collect(follow(runId));
    expect([textOf(events, 'stdout'), textOf(events, 'stderr')]).toEqual(['done\n', 'oops\n']);
    expect((await collect(follow(runId, '1-1:0:0'))).map(({ event }) => event)).toEqual([
      'restart',
      'output',
      'output',
      'end',
    ]);
  });

  test('is told how much is missing where the oldest is not kept any more, and hears all of it once that is recorded', async () => {
    const [trimmed, followed] = [createGate(), createGate()];
    const say = (lines: string) => `for i in ${lines}; do echo line $i; sleep 0.5; done`;
    const runId = await start(
      `${say('1 2 3')}; ${trimmed.wait}; ${say('4 5 6 7')}; ${followed.wait}; echo line 8; sleep 1`,
    );
    let first: FollowEvent | undefined;
    for await (const event of follow(runId)) {
      first = event;
      if (event.data.text?.includes('line 3')) break;
    }
    const key = `bjr:${env.config.database.name}:output:${runId}`;
    await redis.xtrim(key, 'MAXLEN', 1);
    trimmed.open();
    await until(async () => (await redis.xlen(key)) > 1, 'more');
    await redis.xtrim(key, 'MAXLEN', 1);
    const heard = Promise.all(
      [follow(runId), follow(runId, first?.id)].map(async (events) => {
        const { value } = await events.next();
        return { value, events };
      }),
    );
    const [late = [], resumed = []] = await heard.then((both) => {
      followed.open();
      return Promise.all(both.map(async ({ value, events }) => [value, ...(await collect(events))]));
    });
    const bytesOf = (events: FollowEvent[]) =>
      events.reduce((sum, { data }) => sum + (data.text?.length ?? 0) + (data.skipped_bytes ?? 0), 0);
    expect(late[0]?.data.skipped_bytes).toBeGreaterThan(0);
    expect([bytesOf(late), bytesOf(resumed)]).toEqual([8 * 7, 8 * 7 - Number(first?.id?.split(':')[1])]);
    const recorded = await collect(follow(runId));
    expect(textOf(recorded, 'stdout')).toBe([1, 2, 3, 4, 5, 6, 7, 8].map((i) => `line ${i}\n`).join(''));
    expect((await collect(follow(runId, '0-1:0:0')))[0]?.event).toBe('restart');
  });

  test('ends with the token', async () => {
    const root = await api.signIn('root');
    const password = { password: 'password1234', password_confirmation: 'password1234' };
    const { id } = (await root('POST', '/user_api', { username: 'follower', ...password })).body.object;
    const runId = await start('sleep 1000', { userId: id });
    const signedIn = await api.call('POST', '/authenticate', {
      body: { username: 'follower', password: 'password1234' },
    });
    const headers = { authorization: signedIn.body.auth_token };
    const stream = await fetch(`${api.url}/job_run_api/${runId}/follow`, { headers });
    expect(stream.status).toBe(200);
    await root('PUT', `/user_api/${id}`, password);
    expect(await stream.text()).not.toContain('event: end');
    await env.query('UPDATE job_runs SET cancel_requested_at = UTC_TIMESTAMP(6) WHERE id = ?', [runId]);
    await ended(runId);
  });

  test('without Redis hears the output at the end', async () => {
    const alone = await startApi(env, { REDIS_PORT: '1' });
    const runId = await start('echo now; sleep 1');
    const events = await collect(follow(runId, '', alone));
    expect([textOf(events, 'stdout'), events.at(-1)?.data.outcome]).toEqual(['now\n', 'succeeded']);
    await alone.process.end('SIGTERM');
  });

  test('is for twenty at a time, and those who leave make room', async () => {
    const runId = await start('sleep 1000');
    const gone = new AbortController();
    const headers = { authorization: token };
    const open = () => fetch(`${api.url}/job_run_api/${runId}/follow`, { headers, signal: gone.signal });
    for (let head = 0; head < 21; head++) {
      expect((await admin('HEAD', `/job_run_api/${runId}/follow`)).status).toBe(200);
    }
    const followers = await Promise.all(Array.from({ length: 20 }, open));
    expect(followers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    const late = await admin('GET', `/job_run_api/${runId}/follow`);
    expect([late.status, late.body.message]).toEqual([429, 'You follow 20 runs already: close one first.']);
    gone.abort();
    await admin('POST', `/job_run_api/${runId}/cancel`);
    await until(async () => (await collect(follow(runId)).catch(() => [])).length > 0, 'room');
  });

  test('hears the newest of a flood, and how much was left out', async () => {
    const gate = createGate();
    const runId = await start(`echo begins; ${gate.wait}; timeout 2 yes`);
    const events: FollowEvent[] = [];
    for await (const event of follow(runId)) {
      gate.open();
      events.push(event);
    }
    const skipped = events.reduce(
      (sum, { data }) => sum + Number((data as { skipped_bytes?: number }).skipped_bytes ?? 0),
      0,
    );
    expect(skipped).toBeGreaterThan(1_000_000);
    expect(textOf(events, 'stdout').length).toBeLessThan(500_000);
    expect(events.at(-1)?.event).toBe('end');
  });
});

describe('canceling a run', () => {
  const pidOf = async (runId: number) => {
    let text = '';
    await until(async () => {
      text = (await admin('GET', `/job_run_api/${runId}/output`)).text;
      return text.endsWith('\n');
    }, 'the process id');
    return Number(text);
  };

  test('ends its whole tree, which ignores TERM, and records that; it is not tried again', async () => {
    const runId = await start('trap "" TERM; sleep 1000 & echo $!; wait; sleep 1000', { maxRetries: 3 });
    const child = await pidOf(runId);
    const answer = await admin('POST', `/job_run_api/${runId}/cancel`);
    expect([answer.status, answer.body.message]).toEqual([200, `Run ${runId} is being canceled.`]);
    await ended(runId);
    expect((await admin('GET', `/job_run_api/${runId}`)).body.object).toMatchObject({
      success: false,
      outcome: 'canceled',
    });
    expect(isRunning(child)).toBe(false);
    const again = await admin('POST', `/job_run_api/${runId}/cancel`);
    expect([again.status, again.body.message]).toEqual([409, `Run '${runId}' has ended already.`]);
    expect(
      await env.query('SELECT state FROM jobs j JOIN job_runs r ON r.job_id = j.id WHERE r.id = ?', [runId]),
    ).toEqual([{ state: 'idle' }]);
  });

  test('works through the database when no message reaches the worker', async () => {
    const alone = await startApi(env, { REDIS_PORT: '1' });
    // It does not end before both have been answered, unless it is killed.
    const gate = createGate();
    const runId = await start(`trap '${gate.wait}; exit 143' TERM; echo $$; sleep 1000 & wait`);
    await pidOf(runId);
    const call = () => alone.call('POST', `/job_run_api/${runId}/cancel`, { headers: { authorization: token } });
    expect((await Promise.all([call(), call()])).map(({ status }) => status)).toEqual([200, 200]);
    gate.open();
    await ended(runId);
    expect((await admin('GET', `/job_run_api/${runId}`)).body.object).toMatchObject({ outcome: 'canceled' });
    await alone.process.end('SIGTERM');
  });
});

test('misfires of a job are listed newest first', async () => {
  const jobId = await addJob(env, { userId: ADMIN, state: 'idle', cron: '0 0 1 1 *' });
  for (const [count, reason] of [
    [1, 'down'],
    [7, 'overlap'],
  ]) {
    await env.query(
      `INSERT INTO misfires (job_id, user_id, first_at, last_at, occurrence_count, reason, policy)
       VALUES (?, ?, '2026-01-01 10:00', '2026-01-01 11:00', ?, ?, 'skip')`,
      [jobId, ADMIN, count, reason],
    );
  }
  const { body, headers } = await admin('GET', `/job_api/${jobId}/misfires?timezone=Europe/Berlin`);
  expect(body).toMatchObject({ message: 'Misfires received successfully.', object_type: 'misfires' });
  expect(headers.get('total')).toBe('2');
  expect(body.object[0]).toEqual({
    id: expect.any(Number),
    job_id: jobId,
    first_at: '2026-01-01T11:00:00.000+01:00',
    last_at: '2026-01-01T12:00:00.000+01:00',
    count: 7,
    reason: 'overlap',
    policy: 'skip',
    created_at: expect.any(String),
  });
});

test('runs of another user, and of a job that is gone, are not found', async () => {
  const runId = await finished('true');
  await env.query('UPDATE job_runs SET user_id = 99 WHERE id = ?', [runId]);
  const gone = await finished('true');
  await env.query('DELETE FROM jobs WHERE id = (SELECT job_id FROM job_runs WHERE id = ?)', [gone]);
  for (const id of [runId, gone]) {
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/output'],
      ['GET', '/follow'],
      ['POST', '/cancel'],
    ] as const) {
      expect(await admin(method, `/job_run_api/${id}${path}`)).toMatchObject({
        status: 404,
        body: { message: 'Run not found.' },
      });
    }
  }
});
