import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { startProcess, until } from '../support/processes.ts';

const SECRET = 'a secret of the tests that is long enough';
const JOB = { name: 'job', cron: '0 0 1 1 *', command: 'true' };
const RUN_FIELDS = [
  'id,success,return_code,error_message,stdout,stderr,start_time,end_time,scheduled_start_time',
  'schedule_diff_in_seconds,job_id,is_manual,created_at,updated_at',
].join(',');
const JOB_FIELDS = [
  'id,name,cron,enabled,command,last_run,next_run,success,running,timezone,tags,created_at,updated_at,success_callback',
  'failure_callback,avg_run_duration,max_run_duration,min_run_duration,avg_run_duration_trend,avg_run_lag,max_run_lag',
  'min_run_lag,avg_run_lag_trend',
].join(',');

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let root: Caller;

beforeAll(async () => {
  env = await createEnvironment({ SECRET_KEY_BASE: SECRET });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
  root = await api.signIn('root');
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const create = async (job: Record<string, unknown> = {}) => {
  const { status, body } = await admin('POST', '/job_api', { ...JOB, name: `job ${crypto.randomUUID()}`, ...job });
  expect(status).toBe(201);
  return body.object;
};
const failure = (status: number, message: string) => ({
  message,
  is_error: true,
  object: {},
  object_type: '',
  status_code: status,
});
const expectFailure = async (answer: ReturnType<Caller>, status: number, message: string) => {
  const { status: given, body } = await answer;
  expect({ given, body }).toEqual({ given: status, body: failure(status, message) });
};

describe('the first start', () => {
  test('creates admin with three jobs', async () => {
    const { body, headers } = await admin('GET', '/job_api');
    expect(headers.get('total')).toBe('3');
    const shown = body.object.map(({ name, cron, command, enabled, tags }: Record<string, unknown>) => ({
      name,
      cron,
      command,
      enabled,
      tags,
    }));
    const common = { cron: '*/5 * * * *', enabled: true };
    expect(shown).toEqual([
      { ...common, name: 'Welcome to BJR', command: 'echo Welcome to BJR', tags: ['example'] },
      { ...common, name: 'Failing Job', command: 'oops', tags: ['example', 'failing'] },
      { ...common, name: 'Disabled Job', command: 'echo I wont run', enabled: false, tags: [] },
    ]);
  });
});

describe('authentication', () => {
  test('gives a token for a name and password, however they are sent', async () => {
    const credentials = { username: 'admin', password: 'password1234' };
    for (const body of [credentials, new URLSearchParams(credentials)]) {
      const answer = await api.call('POST', '/authenticate', { body });
      expect(Object.keys(answer.body)).toEqual(['user_id', 'auth_token', 'message', 'is_error', 'status_code']);
      expect(answer.body).toMatchObject({ is_error: false, status_code: 200 });
    }
    const inQuery = await api.call('POST', `/authenticate?${new URLSearchParams(credentials)}`);
    expect(inQuery.status).toBe(200);
  });

  test.each([{ username: 'admin', password: 'wrong' }, { username: 'nobody', password: 'password1234' }, {}])(
    'refuses %j',
    async (body) => {
      const answer = await api.call('POST', '/authenticate', { body });
      expect(answer).toMatchObject({
        status: 401,
        body: { message: 'Invalid credentials', is_error: true, status_code: 401 },
      });
    },
  );

  const sign = (claims: Record<string, unknown>, { secret = SECRET, alg = 'HS256' } = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret));
  const exp = Math.floor(Date.now() / 1000) + 60;
  const none = `${btoa('{"alg":"none"}')}.${btoa(`{"user_id":2,"version":0,"exp":${exp}}`)}.`.replaceAll('=', '');

  test.each([
    ['none at all', async () => ''],
    ['nonsense', async () => 'nonsense'],
    ['another key', () => sign({ user_id: 2, version: 0, exp }, { secret: 'x'.repeat(32) })],
    ['another algorithm', () => sign({ user_id: 2, version: 0, exp }, { alg: 'HS512' })],
    ['no algorithm', async () => none],
    ['no end', () => sign({ user_id: 2, version: 0 })],
    ['an end that is over', () => sign({ user_id: 2, version: 0, exp: exp - 120 })],
    ['a user who is not there', () => sign({ user_id: 99, version: 0, exp })],
  ])('refuses a token with %s', async (_, token) => {
    await expectFailure(
      api.call('GET', '/job_api', { headers: { authorization: await token() } }),
      401,
      'Not authorized',
    );
  });

  test('takes the last word of the header for the token', async () => {
    const token = await sign({ user_id: 2, version: 0, exp });
    for (const authorization of [token, `Bearer ${token}`, `Token  ${token}`]) {
      expect((await api.call('GET', '/job_api', { headers: { authorization } })).status).toBe(200);
    }
  });
});

describe('jobs', () => {
  test('are created with exactly the fields of the contract, in the envelope and its order', async () => {
    const { body, status } = await admin('POST', '/job_api', {
      ...JOB,
      name: 'exact',
      tags: 'a, b,a',
      timezone: 'UTC',
    });
    expect(status).toBe(201);
    expect(Object.keys(body)).toEqual(['message', 'is_error', 'object', 'object_type', 'status_code']);
    expect(Object.keys(body.object).join()).toBe(JOB_FIELDS);
    expect(body).toMatchObject({ message: `Job ${body.object.id} created successfully.`, object_type: 'job' });
    expect(body.object).toMatchObject({
      last_run: '',
      success_callback: '',
      tags: ['a', 'b'],
      enabled: true,
      running: false,
    });
    expect(body.object.next_run).toMatch(/^\d{4}-01-01T00:00:00\.000Z$/);
  });

  test.each([
    [{}, "Name can't be blank Command can't be blank Cron can't be blank"],
    [{ ...JOB, cron: 'every day' }, "Cron 'every day' is an invalid cron expression."],
    [{ ...JOB, cron: '0 0 30 2 *' }, "Cron '0 0 30 2 *' is an invalid cron expression."],
    [{ ...JOB, name: 'x'.repeat(256) }, 'Name is too long (maximum is 255 characters)'],
    [{ ...JOB, cron: '1,'.repeat(128) }, 'Cron is too long (maximum is 255 characters)'],
    [{ ...JOB, command: 'é'.repeat(40_000) }, 'Command is too long (maximum is 65536 bytes)'],
    [{ ...JOB, command: 'a\0b' }, "Command can't contain a null character"],
    [{ ...JOB, enabled: 'perhaps' }, 'Enabled must be true or false'],
    [{ ...JOB, name: { a: 1 } }, 'Name must be a string'],
    [{ ...JOB, tags: [1] }, 'Tags must be a string or a list of strings'],
    [{ ...JOB, success_callback: 'ftp://x' }, 'Success callback must be an http or https URL'],
  ])('with %j are refused', async (body, message) => {
    await expectFailure(admin('POST', '/job_api', body), 422, message);
  });

  test('with a name that the user has already are refused, ignoring case, on create and update', async () => {
    const first = await create({ name: 'Café' });
    await expectFailure(admin('POST', '/job_api', { ...JOB, name: 'CAFÉ' }), 422, 'Name has already been taken');
    const second = await create({ name: 'Cafe' });
    await expectFailure(admin('PUT', `/job_api/${second.id}`, { name: 'café' }), 422, 'Name has already been taken');
    expect((await admin('PUT', `/job_api/${first.id}`, { name: 'CAFÉ' })).status).toBe(200);
  });

  test('with a zone that is none are refused with the list of zones', async () => {
    const message = `Invalid timezone 'Mars' specified. Acceptable timezone list: ${api.url}/timezones`;
    await expectFailure(admin('POST', '/job_api', { ...JOB, timezone: 'Mars' }), 400, message);
    await expectFailure(admin('GET', '/job_api?timezone=Mars'), 400, message);
  });

  test.each(['{"name":', '[]', '"text"', 'null'])('sent as %s are refused as unreadable', async (body) => {
    const { status, body: answer } = await admin('POST', '/job_api', body, { 'content-type': 'application/json' });
    expect({ status, error: answer.is_error }).toEqual({ status: 400, error: true });
  });

  test('may be sent as a form or in the query string, which wins', async () => {
    const form = new FormData();
    for (const [key, value] of Object.entries({ ...JOB, name: 'form' })) form.append(key, value);
    expect((await admin('POST', '/job_api?name=query&enabled=False', form)).body.object).toMatchObject({
      name: 'query',
      enabled: false,
    });
  });

  test('are updated in part; tags stay unless sent, blank clears', async () => {
    const { id } = await create({ tags: ['x', 'y'], success_callback: 'http://127.0.0.1/a' });
    const renamed = await admin('PATCH', `/job_api/${id}`, { command: 'echo 2', enabled: 'no' });
    expect(renamed.body).toMatchObject({
      message: `Job ${id} updated successfully.`,
      object: { command: 'echo 2', enabled: false, tags: ['x', 'y'], success_callback: 'http://127.0.0.1/a' },
    });
    const cleared = await admin('PUT', `/job_api/${id}`, { tags: '', success_callback: null, enabled: 1 });
    expect(cleared.body.object).toMatchObject({ tags: [], success_callback: '', enabled: true });
    await expectFailure(admin('PUT', `/job_api/${id}`, { enabled: '' }), 422, 'Enabled must be true or false');
  });

  test('show their dates in the zone of the request, under IANA and display names', async () => {
    const { id } = await create({ cron: '0 12 1 7 *' });
    const shown = async (timezone: string) =>
      (await admin('GET', `/job_api/${id}?${new URLSearchParams({ timezone })}`)).body.object.next_run.slice(10);
    expect(await shown('America/New_York')).toBe('T08:00:00.000-04:00');
    expect(await shown('Eastern Time (US & Canada)')).toBe('T08:00:00.000-04:00');
    expect(await shown('UTC')).toBe('T12:00:00.000Z');
  });

  test('that are not there, or are not numbers, are not found', async () => {
    for (const id of ['999999', '0', '-1', 'x', '1e3', '99999999999999999999']) {
      for (const [method, path] of [
        ['GET', ''],
        ['PUT', ''],
        ['DELETE', ''],
        ['POST', '/run_now'],
        ['GET', '/runs'],
        ['GET', '/occurrences/2030-01-01'],
      ]) {
        await expectFailure(admin(method ?? '', `/job_api/${id}${path}`), 404, 'Job not found.');
      }
    }
  });

  test('of another user are not found, and root has none', async () => {
    const { id } = await create();
    const { body } = await root('POST', '/user_api', {
      username: 'eve',
      password: 'password1',
      password_confirmation: 'password1',
    });
    expect(body.object.username).toBe('eve');
    const eve = await api.signIn('eve', 'password1');
    expect((await eve('GET', '/job_api')).body.object).toEqual([]);
    for (const [method, path] of [
      ['GET', ''],
      ['PUT', ''],
      ['DELETE', ''],
      ['POST', '/run_now'],
      ['GET', '/runs'],
      ['GET', '/occurrences/2030-01-01'],
    ]) {
      await expectFailure(eve(method ?? '', `/job_api/${id}${path}`), 404, 'Job not found.');
      await expectFailure(
        root(method ?? '', `/job_api/${id}${path}`),
        403,
        'The root user is not permitted to perform this action.',
      );
    }
  });

  test('are deleted, with their history in time', async () => {
    const { id } = await create();
    const { body } = await admin('DELETE', `/job_api/${id}`, undefined, { 'content-type': 'application/json' });
    expect(body).toMatchObject({ message: `Job ${id} deleted successfully.`, object: { id } });
    await expectFailure(admin('GET', `/job_api/${id}`), 404, 'Job not found.');
    expect(await env.query('SELECT job_id FROM purges WHERE job_id = ?', [id])).toHaveLength(1);
  });

  test('that run cannot be deleted or run again', async () => {
    const { id } = await create();
    await env.query("UPDATE jobs SET state = 'leased' WHERE id = ?", [id]);
    await expectFailure(
      admin('DELETE', `/job_api/${id}`),
      409,
      `Job '${id}' cannot be deleted because it's running. Try disabling it first.`,
    );
    await expectFailure(admin('POST', `/job_api/${id}/run_now`), 409, `Job '${id}' is already running.`);
    expect((await admin('GET', `/job_api/${id}`)).body.object.running).toBe(true);
  });

  test('run now once, enabled or not: of many at a time one is taken', async () => {
    const { id } = await create({ enabled: false });
    const answers = await Promise.all(Array.from({ length: 20 }, () => admin('POST', `/job_api/${id}/run_now`)));
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 409)]);
    expect(answers.find(({ status }) => status === 200)?.body.message).toBe(`Job ${id} queued to run.`);
  });

  test('an edit puts the new schedule in force at once; overdue occurrences of the old one are misfires', async () => {
    const { id } = await create({ cron: '* * * * *' });
    await env.query(
      `UPDATE jobs SET state = 'due', next_run = UTC_TIMESTAMP() - INTERVAL SECOND(UTC_TIMESTAMP()) SECOND - INTERVAL 2 MINUTE,
         due_at = next_run WHERE id = ?`,
      [id],
    );
    await admin('PUT', `/job_api/${id}`, { cron: '0 0 1 1 *' });
    const [job] = await env.query('SELECT state, due_at FROM jobs WHERE id = ?', [id]);
    expect(job).toEqual({ state: 'idle', due_at: null });
    const [misfire] = await env.query('SELECT occurrence_count AS n, reason FROM misfires WHERE job_id = ?', [id]);
    expect(misfire?.['reason']).toBe('down');
    expect([3, 4]).toContain(misfire?.['n']);
  });
});

describe('lists', () => {
  test('are paged, with headers and links that keep the other parameters', async () => {
    const headers = { 'x-forwarded-host': 'bjr.example.com', 'x-forwarded-proto': 'https' };
    for (let n = 0; n < 5; n++) await create();
    const { headers: given, body } = await admin('GET', '/job_api?per_page=2&page=2&timezone=UTC', undefined, headers);
    expect(body.object).toHaveLength(2);
    const total = Number(given.get('total'));
    expect(given.get('per-page')).toBe('2');
    const link = (page: number, relation: string) =>
      `<https://bjr.example.com/job_api?per_page=2&page=${page}&timezone=UTC>; rel="${relation}"`;
    const last = Math.ceil(total / 2);
    expect(given.get('link')).toBe([link(1, 'first'), link(1, 'prev'), link(last, 'last'), link(3, 'next')].join(', '));
  });

  test('fall back to the defaults for numbers that make no sense, and end in nothing', async () => {
    for (const query of [
      'page=0&per_page=-1',
      'page=x&per_page=',
      `page=${10 ** 20}`,
      'per_page=99999999999999999999',
    ]) {
      const { status, headers } = await admin('GET', `/job_api?${query}`);
      expect({ status, perPage: headers.get('per-page') }).toEqual({ status: 200, perPage: '25' });
    }
    expect((await admin('GET', '/job_api?per_page=5000')).headers.get('per-page')).toBe('1000');
    const beyond = await admin('GET', '/job_api?page=999999');
    expect(beyond.body.object).toEqual([]);
    expect((await admin('GET', '/job_api?per_page=1000')).headers.get('link')).toBeNull();
  });
});

describe('runs', () => {
  let jobId: number;
  beforeAll(async () => {
    ({ id: jobId } = await create());
    const insert = (values: unknown[]) =>
      env.query(
        `INSERT INTO job_runs (job_id, user_id, attempt, lease_token, worker_id, trigger_kind, scheduled_for, started_at,
           finished_at, outcome, return_code, error_message) VALUES (?, 2, 1, 1, 'w', ?)`,
        [jobId, values],
      );
    await insert([
      'schedule',
      new Date('2026-01-01T00:00:00Z'),
      new Date('2026-01-01T00:00:01.5Z'),
      new Date('2026-01-01T00:00:02Z'),
      'succeeded',
      0,
      '',
    ]);
    await insert([
      'schedule',
      new Date('2026-01-02T00:00:00Z'),
      new Date('2026-01-02T00:00:01Z'),
      new Date('2026-01-02T00:00:02Z'),
      'failed',
      1,
      '',
    ]);
    await insert([
      'manual',
      null,
      new Date('2026-01-03T00:00:00Z'),
      new Date('2026-01-03T01:00:00Z'),
      'lost',
      -1,
      'Lost',
    ]);
    await insert(['manual', null, new Date('2026-01-04T00:00:00Z'), null, null, null, null]);
  });

  test('are listed newest first with exactly their fields', async () => {
    const { body, headers } = await admin('GET', `/job_api/${jobId}/runs`);
    expect(body).toMatchObject({ message: 'Job runs received successfully.', object_type: 'jobruns' });
    expect(headers.get('total')).toBe('4');
    const [running, lost, failed, succeeded] = body.object;
    expect(Object.keys(succeeded).join()).toBe(RUN_FIELDS);
    expect(succeeded).toMatchObject({
      success: true,
      return_code: 0,
      stdout: '',
      stderr: '',
      error_message: '',
      schedule_diff_in_seconds: 1,
      is_manual: false,
    });
    expect(failed).toMatchObject({ success: false, return_code: 1 });
    expect(lost).toMatchObject({
      success: false,
      return_code: -1,
      scheduled_start_time: null,
      schedule_diff_in_seconds: null,
      is_manual: true,
    });
    expect(Object.keys(running).join()).toBe(RUN_FIELDS.replace('success,return_code,', '').replace('end_time,', ''));
    expect(running).toMatchObject({ error_message: null, stdout: null, stderr: null });
  });

  test.each([
    ['succeeded=true', 1],
    ['succeeded=False', 2],
    ['start_date=2026-01-02', 3],
    ['end_date=2026-01-02', 1],
    ['start_date=2026-01-01T19:00:01&timezone=America/New_York', 3],
    ['start_date=2026-01-02T00:00:00Z&end_date=2026-01-03T00:00:00%2B00:00', 1],
    ['succeeded=', 4],
  ])('filtered by %s are %i', async (query, count) => {
    const { body, headers } = await admin('GET', `/job_api/${jobId}/runs?${query}`);
    expect(body.object).toHaveLength(count);
    expect(headers.get('total')).toBe(String(count));
  });

  test.each([
    ['succeeded=maybe', 'Succeeded must be true or false'],
    ['start_date=soon', "Start date 'soon' is not a date"],
    ['end_date=2026-02-30', "End date '2026-02-30' is not a date"],
  ])('filtered by %s are refused', (query, message) =>
    expectFailure(admin('GET', `/job_api/${jobId}/runs?${query}`), 422, message),
  );
});

describe('occurrences', () => {
  test('are those of the schedule, from the next to the end, in pages', async () => {
    const { id } = await create({ cron: '0 0 1 * *' });
    const year = new Date().getUTCFullYear() + 1;
    const { body, headers } = await admin('GET', `/job_api/${id}/occurrences/${year}-12-31+23:00?per_page=3`);
    expect(body).toMatchObject({ message: 'Job occurrences received successfully.', object_type: 'occurrences' });
    expect(Number(headers.get('total'))).toBe(12 + 11 - new Date().getUTCMonth());
    expect(body.object).toHaveLength(3);
    expect(body.object[0]).toMatch(/-01T00:00:00\.000Z$/);
    await expectFailure(admin('GET', `/job_api/${id}/occurrences/`), 403, 'You must supply an end date parameter.');
    await expectFailure(admin('GET', `/job_api/${id}/occurrences/soonish`), 422, "End date 'soonish' is not a date");
  });
});

describe('users', () => {
  const password = { password: 'secret phrase', password_confirmation: 'secret phrase' };

  test('see themselves, root sees all', async () => {
    const own = await admin('GET', '/user_api');
    expect(own.body.object.map((user: { username: string }) => user.username)).toEqual(['admin']);
    expect(Object.keys(own.body.object[0])).toEqual(['id', 'username', 'created_at', 'updated_at']);
    const all = await root('GET', '/user_api');
    expect(all.body.object.map((user: { username: string }) => user.username)).toEqual(
      expect.arrayContaining(['root', 'admin']),
    );
    await expectFailure(admin('GET', '/user_api/1'), 401, 'You are not authorized to perform this action.');
    await expectFailure(root('GET', '/user_api/999'), 404, 'User not found.');
  });

  test('are created and deleted by root alone', async () => {
    const forbidden = 'You are not authorized to perform this action.';
    await expectFailure(admin('POST', '/user_api', { username: 'x', ...password }), 401, forbidden);
    const { body, status } = await root('POST', '/user_api', { username: 'carol', ...password });
    expect({ status, message: body.message }).toEqual({
      status: 201,
      message: `User ${body.object.id} created successfully.`,
    });
    await expectFailure(
      root('POST', '/user_api', { username: 'CAROL', ...password }),
      403,
      'A user with this username already exists.',
    );
    await expectFailure(
      root('POST', '/user_api', { ...password, username: 'dave', password: 'other phrase' }),
      403,
      "Failed to create user 'dave': Password confirmation doesn't match Password",
    );
    await expectFailure(admin('DELETE', `/user_api/${body.object.id}`), 401, forbidden);
    await expectFailure(root('DELETE', '/user_api/1'), 403, 'You cannot delete yourself.');
    const carol = await api.signIn('carol', password.password);
    await carol('POST', '/job_api', { ...JOB, tags: 'mine' });
    expect((await root('DELETE', `/user_api/${body.object.id}`)).body.message).toBe(
      `User ${body.object.id} deleted successfully.`,
    );
    await expectFailure(carol('GET', '/job_api'), 401, 'Not authorized');
    for (const table of ['jobs', 'tags']) {
      expect(await env.query('SELECT id FROM ?? WHERE user_id = ?', [table, body.object.id])).toEqual([]);
    }
  });

  test('change their password, which revokes the tokens given out before', async () => {
    const { body } = await root('POST', '/user_api', { username: 'frank', ...password });
    const frank = await api.signIn('frank', password.password);
    const path = `/user_api/${body.object.id}`;
    const short = { password: 'short', password_confirmation: 'short' };
    await expectFailure(
      frank('PUT', path, short),
      403,
      `Failed to update user '${body.object.id}': Password is too short (minimum is 8 bytes)`,
    );
    const next = { password: 'another phrase', password_confirmation: 'another phrase' };
    expect((await frank('PUT', path, next)).body.message).toBe(`User ${body.object.id} updated successfully.`);
    await expectFailure(frank('GET', path), 401, 'Not authorized');
    expect((await (await api.signIn('frank', 'another phrase'))('GET', path)).status).toBe(200);
  });
});

describe('the rest', () => {
  test('version, unknown routes, trailing slashes, HEAD', async () => {
    const version = await api.call('GET', '/version/');
    expect(version.body).toMatchObject({
      message: 'Version received successfully.',
      object_type: 'version',
      object: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    await expectFailure(api.call('GET', '/nowhere'), 404, 'Not found.');
    const head = await admin('HEAD', '/job_api/');
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers.get('total')).toMatch(/^\d+$/);
  });

  test('a body that is too large is refused', async () => {
    const { status, body } = await admin('POST', '/job_api', { ...JOB, command: 'x'.repeat(2 ** 21) });
    expect({ status, isError: body.is_error }).toEqual({ status: 413, isError: true });
  });

  test('the description is served as JSON and YAML, and the page has its parts from this server', async () => {
    const json = await api.call('GET', '/openapi.json');
    expect(json.body.paths['/job_api/{id}/run_now'].post.operationId).toBe('runJobNow');
    expect((await api.call('GET', '/api-docs/v1/swagger.yaml')).text).toContain('operationId: runJobNow');
    expect((await api.call('GET', '/')).headers.get('location')).toBe('/api-docs');
    const page = await api.call('GET', '/api-docs');
    expect(page.text).not.toMatch(/https?:\/\//);
    for (const [, path] of page.text.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      expect((await api.call('GET', path ?? '')).status).toBe(200);
    }
  });

  test('an error that nobody foresaw is a 500 with an id that the log has', async () => {
    await env.query('RENAME TABLE job_tags TO away');
    const { status, body } = await admin('GET', '/job_api');
    await env.query('RENAME TABLE away TO job_tags');
    expect({ status, body }).toMatchObject({ status: 500, body: { object: {}, object_type: '', is_error: true } });
    const errorId = /'([0-9a-f-]{36})'/.exec(body.message)?.[1];
    await api.process.line((line) => line['errorId'] === errorId);
  });

  test('health names what is down, and is empty when nothing is', async () => {
    const without = await api.call('GET', '/health');
    expect(without).toMatchObject({ status: 503, body: { status: 'down', down: ['workers'] } });
    const worker = startProcess('worker', env.env);
    await until(async () => (await api.call('GET', '/health')).status === 200, 'a healthy server');
    expect((await api.call('GET', '/health')).text).toBe('');
    await worker.end('SIGTERM');
    expect((await api.call('GET', '/health')).status).toBe(503);
  });
});
