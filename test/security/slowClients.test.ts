import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { openRaw, type RawConnection, statusesIn } from '../support/raw.ts';

/* Who sends a byte at a time is waited for so long and no longer, and holds up nobody. */

const CLIENTS = 200;
let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
beforeAll(async () => {
  env = await createEnvironment({ REQUEST_TIMEOUT_SECONDS: '1' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

/** Sends a beginning, then a byte of the rest every tenth of a second, for as long as it may. */
function drip(beginning: string, byte: string): RawConnection {
  const connection = openRaw(api.url);
  connection.write(beginning);
  const timer = setInterval(() => connection.write(byte), 100);
  connection.socket.once('close', () => clearInterval(timer));
  return connection;
}

describe.each([
  ['headers', 'GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: ', 'a'],
  [
    'a body',
    'POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n',
    ' ',
  ],
  ['chunks', 'POST /authenticate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
  ['nothing', '', ''],
])('two hundred that send %s', (_, beginning, byte) => {
  test('are hung up on, and others are served meanwhile', async () => {
    const slow = Array.from({ length: CLIENTS }, () => drip(beginning, byte));
    await Promise.all(slow.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    const served = await Promise.all(Array.from({ length: 20 }, () => admin('GET', '/job_api')));
    expect(new Set(served.map(({ status }) => status))).toEqual(new Set([200]));
    // That every one of them is closed is what is waited for: where none is, the test does not end.
    const answers = await Promise.all(slow.map(({ closed }) => closed));
    expect(new Set(answers.flatMap(statusesIn))).toEqual(new Set([408]));
    expect((await admin('GET', '/job_api')).status).toBe(200);
  });
});

test('who hangs up in the middle of a request is no fault of the server', async () => {
  const connection = openRaw(api.url);
  connection.write('POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
  await new Promise((resolve) => connection.socket.once('ready', resolve));
  connection.socket.resetAndDestroy();
  await connection.closed;
  expect((await admin('GET', '/job_api')).status).toBe(200);
  expect(api.process.log.filter((line) => Number(line['level']) >= 50)).toEqual([]);
});

test('an answer may take longer than that, where there is something to follow', async () => {
  const [job] = (await admin('GET', '/job_api')).body.object;
  await env.query(
    `INSERT INTO job_runs (id, job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at)
     VALUES (77, ?, 2, 'manual', 1, 1, 'w', UTC_TIMESTAMP(6))`,
    [job.id],
  );
  const following = admin('GET', '/job_run_api/77/follow');
  // Longer than the time limit and the period in which it is looked at; slow headers are closed in the meantime.
  await drip('GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: ', 'a').closed;
  await drip('GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: ', 'a').closed;
  await env.query(
    "UPDATE job_runs SET outcome = 'succeeded', return_code = 0, finished_at = UTC_TIMESTAMP(6) WHERE id = 77",
  );
  expect((await following).text).toContain('event: end');
});
