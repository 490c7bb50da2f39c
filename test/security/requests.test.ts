import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { openRaw, statusesIn } from '../support/raw.ts';

/* Requests that no honest client sends: none is answered with 5xx, none makes the server grow, none passes for two. */

const MEBIBYTE = 2 ** 20;
let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let token: string;
beforeAll(async () => {
  env = await createEnvironment({ LOG_LEVEL: 'debug' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
  const { body } = await api.call('POST', '/authenticate', { body: { username: 'admin', password: 'password1234' } });
  token = body.auth_token;
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const memoryBytes = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${api.process.pid}/status`, 'utf8'))?.[1]) * 1024;
const failures = () => api.process.log.filter((line) => Number(line['level']) >= 50);
const JOB = { command: 'true', cron: '0 0 1 1 *' };

describe('a body', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const deepObject = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
  const json = { 'content-type': 'application/json' };
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const many = (count: number, between: string, write: (name: string) => string) =>
    Array.from({ length: count }, (_, n) => write(`f${n}`)).join(between);

  test.each<[string, string, Record<string, string>]>([
    ['of lists in lists', `{"name":"deep","x":${deep}}`, json],
    ['of lists in lists, under a key', `{"name":"deep","x":${deep}}`, { ...json, 'idempotency-key': 'deep' }],
    ['of objects in objects', `{"name":"deep","env":${deepObject}}`, json],
    ['of many fields', `{${many(50_000, ',', (name) => `"${name}":1`)}}`, json],
    ['of many fields of a form', many(100_000, '&', (name) => `${name}=`), form],
    ['that is a list', deep, json],
    ['that is no form', '--b\r\nContent-Disposition: nonsense', { 'content-type': 'multipart/form-data; boundary=b' }],
    ['that is no form, and says so', 'x', { 'content-type': 'multipart/form-data' }],
    ['of another kind', '<xml/>', { 'content-type': 'application/xml' }],
    ['that is compressed', '\x1f\x8b', { ...json, 'content-encoding': 'gzip' }],
  ])('%s is refused', async (_, body, headers) => {
    const before = memoryBytes();
    expect((await admin('POST', '/job_api', body, headers)).status).toBe(400);
    expect(memoryBytes() - before).toBeLessThan(128 * MEBIBYTE);
  });

  test('of many parts of a form is read', async () => {
    const parts = many(8000, '', (name) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n\r\n`);
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    expect((await admin('POST', '/job_api', `${parts}--b--\r\n`, headers)).status).toBe(422);
  });

  test('with a file where text belongs is refused', async () => {
    const body = new FormData();
    for (const field of ['name', 'command', 'env', 'tags']) body.append(field, new Blob(['x']), '../../etc/passwd');
    expect((await admin('POST', '/job_api', body)).status).toBe(422);
  });

  test('of names that JavaScript knows changes nothing but the job', async () => {
    const names = '{"__proto__":{"isRoot":true,"name":"p"},"constructor":{"prototype":{"isRoot":true}},"toString":1';
    const body = `${names},"name":"polluted","command":"true","cron":"0 0 1 1 *","env":{"__proto__":"x","constructor":"y"}}`;
    const made = await admin('POST', '/job_api', body, json);
    expect(made.status).toBe(201);
    expect(made.text).toContain('"env":{"__proto__":"x","constructor":"y"}');
    expect((await admin('GET', '/audit_api')).status).toBe(401);
  });

  test('with more than a hundred tags is refused', async () => {
    const tags = Array.from({ length: 101 }, (_, n) => `tag ${n}`);
    const { status, body } = await admin('POST', '/job_api', { ...JOB, name: 'tagged', tags });
    expect([status, body.message]).toEqual([422, 'Tags has too many entries (maximum is 100)']);
    expect((await admin('POST', '/job_api', { ...JOB, name: 'tagged', tags: tags.slice(1) })).status).toBe(201);
  });

  /** Sends the same bytes over and over until the server hangs up. Returns what it said. */
  const pour = (head: string, chunk: Buffer) => {
    const connection = openRaw(api.url);
    connection.write(`POST /authenticate HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`);
    const more = () => {
      while (!connection.socket.destroyed && connection.socket.write(chunk));
    };
    connection.socket.on('drain', more);
    more();
    return connection.closed;
  };

  test.each([
    ['that never ends', 'Transfer-Encoding: chunked', `10000\r\n${'x'.repeat(65_536)}\r\n`],
    ['of a tebibyte', `Content-Length: ${2 ** 40}`, 'x'.repeat(65_536)],
  ])('%s is cut off, and told so', async (_, head, chunk) => {
    const before = memoryBytes();
    const answers = await Promise.all(Array.from({ length: 10 }, () => pour(head, Buffer.from(chunk))));
    // Who still writes when the connection is closed may lose the answer; it is told often enough.
    const statuses = answers.flatMap(statusesIn);
    expect(statuses.length).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([413]));
    expect(memoryBytes() - before).toBeLessThan(128 * MEBIBYTE);
  });
});

describe('raw', () => {
  const request = (line: string, headers: string[] = [], body = '') =>
    Buffer.from(`${line}\r\n${['Host: x', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`, 'latin1');
  const say = async (bytes: Buffer | string) => {
    const connection = openRaw(api.url);
    connection.write(bytes);
    return connection.closed;
  };
  const post = 'POST /authenticate HTTP/1.1';

  test.each<[string, Buffer | string, number[]]>([
    ['two lengths', request(post, ['Content-Length: 2', 'Content-Length: 3'], '{}'), [400]],
    ['a length twice', request(post, ['Content-Length: 2', 'Content-Length: 2'], '{}'), [400]],
    ['a list of lengths', request(post, ['Content-Length: 2, 2'], '{}'), [400]],
    ['a negative length', request(post, ['Content-Length: -1']), [400]],
    ['a length that no number holds', request(post, [`Content-Length: ${'9'.repeat(30)}`]), [400]],
    [
      'a length and chunks',
      request(
        post,
        ['Content-Length: 2', 'Transfer-Encoding: chunked'],
        '0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n',
      ),
      [400],
    ],
    [
      'chunks and a length',
      request(
        post,
        ['Transfer-Encoding: chunked', 'Content-Length: 2'],
        '0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n',
      ),
      [400],
    ],
    [
      'chunks that are not the last coding',
      request(post, ['Transfer-Encoding: chunked, identity'], '0\r\n\r\n'),
      [400],
    ],
    ['a coding like chunks', request(post, ['Transfer-Encoding: xchunked'], '0\r\n\r\n'), [400]],
    ['a blank before the colon', request(post, ['Transfer-Encoding : chunked'], '0\r\n\r\n'), [400]],
    ['chunks of no size', request(post, ['Transfer-Encoding: chunked'], 'zz\r\n{}\r\n0\r\n\r\n'), [400]],
    ['a folded header', request('GET /version HTTP/1.1', ['X-A: a\r\n b']), [400]],
    ['a null in a header', request('GET /version HTTP/1.1', ['X-A: a\0b']), [400]],
    ['a bare line feed', 'GET /version HTTP/1.1\nHost: x\n\n', [400]],
    ['a bare carriage return', 'GET /version HTTP/1.1\rHost: x\r\r', [400]],
    ['no host', 'GET /version HTTP/1.1\r\n\r\n', [400]],
    ['a host that is none', 'GET /version HTTP/1.1\r\nHost: a b/../c\r\nConnection: close\r\n\r\n', [400]],
    ['a host with a path', 'GET /version HTTP/1.1\r\nHost: evil.example/x?\r\nConnection: close\r\n\r\n', [400]],
    ['headers of 20 kB', request('GET /version HTTP/1.1', [`X-A: ${'a'.repeat(20_000)}`]), [431]],
    [
      '3000 headers',
      request(
        'GET /version HTTP/1.1',
        Array.from({ length: 3000 }, (_, n) => `A${n}: b`),
      ),
      [431],
    ],
    ['a query of 20 kB', request(`GET /version?${'a'.repeat(20_000)} HTTP/1.1`), [431]],
    ['another protocol', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
    ['TLS', Buffer.from('160301020001000100', 'hex'), [400]],
    ['an unknown method', request('HACK /job_api HTTP/1.1'), [400]],
    ['a method in small letters', request('get /version HTTP/1.1'), [400]],
    ['an expectation', request(post, ['Expect: nonsense', 'Content-Length: 0']), [417]],
    ['a null in a path', request('GET /job_api/1\0 HTTP/1.1'), [400]],
    ['bytes beyond ASCII in a path', request('GET /job_api/\xff\xfe HTTP/1.1'), [400]],
    ['a backslash in a path', request('GET /job_api\\1 HTTP/1.1'), [400]],
    ['another server as the target', request('GET http://evil.example/nowhere HTTP/1.1'), [404]],
    ['a broken target', request('GET http://[ HTTP/1.1'), [400]],
    ['a target that is no path', request('GET version HTTP/1.1'), [400]],
    ['the server as the target', request('OPTIONS * HTTP/1.1'), [400]],
    ['another protocol to go on with', request('GET /version HTTP/1.1', ['Upgrade: websocket']), [200]],
  ])('%s', async (_, bytes, statuses) => {
    expect(statusesIn(await say(bytes))).toEqual(statuses);
  });

  test('a tunnel is not opened', async () => {
    expect(statusesIn(await say(request('CONNECT evil.example:443 HTTP/1.1')))).toEqual([]);
  });

  test.each(['TRACE', 'PROPFIND', 'OPTIONS', 'QUERY', 'PURGE', 'LINK'])(
    '%s is not answered with what was sent',
    async (method) => {
      const answer = await say(
        request(`${method} /job_api HTTP/1.1`, [`Authorization: ${token}`, 'X-Planted: planted']),
      );
      expect(statusesIn(answer)).toEqual([404]);
      expect(answer).not.toMatch(/planted/i);
    },
  );

  test.each(['X-HTTP-Method-Override', 'X-Method-Override', 'X-HTTP-Method'])('%s overrides nothing', async (name) => {
    const headers = [`Authorization: ${token}`, `${name}: DELETE`, 'Content-Length: 0'];
    expect(statusesIn(await say(request('POST /job_api/1?_method=DELETE HTTP/1.1', headers)))).toEqual([404]);
    expect(statusesIn(await say(request('GET /job_api/1?_method=DELETE HTTP/1.1', headers)))).toEqual([200]);
    expect((await admin('GET', '/job_api/1')).status).toBe(200);
  });

  test.each([
    ['/job_api/1%00', 404],
    ['/job_api/%zz', 404],
    ['/job_api/%', 404],
    ['/job_api/1%2f..%2f2', 404],
    ['/job_api/1e0', 404],
    ['/job_api/0x1', 404],
    ['/job_api/-1', 404],
    ['/job_api/1.0', 404],
    ['/job_api/٣', 404],
    ['/job_api/999999999999999', 404],
    ['/job_api/99999999999999999999999', 404],
    ['/job_api/1/occurrences/%ff%fe%c0', 422],
    ['/job_api/1/occurrences/%00', 422],
    ['/job_api?expression=%zz%ff', 422],
    ['/job_api?page=%ff&per_page=%00', 200],
    ['/job_api?page=99999999999999999999&per_page=1e9', 200],
    ['/job_api?page=1000000000&per_page=1000', 200],
    ['/job_api?__proto__=1&constructor=1&toString=1', 200],
    ['/job_api?timezone=__proto__', 400],
    ['/job_api?timezone=constructor', 400],
    ['/job_api?timezone=%00', 400],
    ['/api-docs/..%2f..%2fpackage.json', 404],
    ['/api-docs/%2e%2e/%2e%2e/package.json', 404],
    ['/api-docs/constructor', 404],
    ['/api-docs/__proto__', 404],
    ['//evil.example/version', 404],
  ])('%s', async (path, status) => {
    expect((await admin('GET', encodeURI(path).replaceAll('%25', '%'))).status).toBe(status);
  });

  test('line breaks in what is sent make no header of an answer', async () => {
    const evil = '%0d%0aX-Evil:%201%0d%0a%0d%0a<html>';
    const paths = [
      `/job_api?per_page=1&x=${evil}`,
      `/api-docs/${evil}`,
      `/${evil}`,
      `/job_api?per_page=1&page=2${evil}`,
    ];
    const headers = [
      'X-Forwarded-Host: evil.example%0d%0aX-Evil: 1',
      'Accept-Language: en%0d%0aX-Evil: 1',
      'Origin: http://a%0d%0aX-Evil: 1',
      'Idempotency-Key: a%0d%0aX-Evil: 1',
    ];
    for (const path of paths) {
      const answer = await say(request(`GET ${path} HTTP/1.1`, [`Authorization: ${token}`, ...headers]));
      const [head = ''] = answer.split('\r\n\r\n');
      expect(head).not.toMatch(/^x-evil/im);
      expect(statusesIn(answer)).toHaveLength(1);
      expect(statusesIn(answer)[0]).toBeLessThan(500);
    }
  });

  test('a forged host is in no link', async () => {
    const hosts = ['evil.example/x', 'a b', 'a"b', '<script>', 'user@evil.example', 'evil.example>; rel="next"'];
    for (const host of hosts) {
      const { headers } = await admin('GET', '/job_api?per_page=1', undefined, {
        'x-forwarded-host': host,
        'x-forwarded-proto': 'javascript',
      });
      expect(headers.get('link')).toContain(`<${api.url}/job_api`);
    }
  });

  test('any header of any length is read without a fault', async () => {
    const names = [
      'accept-language',
      'authorization',
      'if-match',
      'idempotency-key',
      'range',
      'last-event-id',
      'content-type',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'origin',
      'accept',
      'cookie',
    ];
    const values = [
      'a'.repeat(8000),
      '-'.repeat(8000),
      'a-'.repeat(4000),
      ',;=".'.repeat(1000),
      `en;q=${'9'.repeat(4000)}`,
      '\xe9\xff',
      'bytes=0-,'.repeat(800),
      '"',
      '*',
    ];
    for (const name of names) {
      for (const value of values) {
        const headers = [...(name === 'authorization' ? [] : [`Authorization: ${token}`]), `${name}: ${value}`];
        const [got] = statusesIn(await say(request('GET /job_api HTTP/1.1', headers)));
        const [posted] = statusesIn(
          await say(request('POST /job_api HTTP/1.1', [...headers, 'Content-Length: 2'], '{}')),
        );
        expect([got, posted].every((status) => status !== undefined && status < 500)).toBe(true);
      }
    }
  });
});

test('a long page of long outputs is shortened, and says so', async () => {
  const [row] = await env.query<{ id: number }>('SELECT MIN(id) AS id FROM jobs');
  const jobId = row?.id;
  for (let n = 0; n < 60; n++) {
    await env.query(
      `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at, finished_at, outcome, return_code)
       VALUES (?, 2, 'manual', 1, 1, 'w', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), 'succeeded', 0)`,
      [jobId],
    );
    await env.query(
      `INSERT INTO run_outputs (run_id, stdout, stderr)
       VALUES (LAST_INSERT_ID(), CONCAT('head', REPEAT('x', 1048568), 'tail'), REPEAT('y', 1048576))`,
    );
  }
  const all = await admin('GET', `/job_api/${jobId}/runs?per_page=1000`);
  expect(all.body.object).toHaveLength(60);
  expect(all.text.length).toBeLessThan(80 * MEBIBYTE);
  expect(all.body.object[7].stdout).toMatch(/^headx+\n\[… \d+ characters left out of this list …\]\nx+tail$/);
  const [first] = (await admin('GET', `/job_api/${jobId}/runs`)).body.object;
  expect([first.stdout.length, first.stderr.length]).toEqual([MEBIBYTE, MEBIBYTE]);
  expect((await admin('GET', `/job_run_api/${all.body.object[7].id}`)).body.object.stdout).toHaveLength(MEBIBYTE);
});

test('none of all this was a fault of the server', async () => {
  expect(failures()).toEqual([]);
  expect((await admin('GET', '/version')).status).toBe(200);
});
