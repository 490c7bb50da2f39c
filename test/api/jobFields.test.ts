import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
beforeAll(async () => {
  env = await createEnvironment();
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const JOB = { cron: '0 0 1 1 *', command: 'true' };
const named = (job: Record<string, unknown> = {}) => ({ ...JOB, name: `job ${crypto.randomUUID()}`, ...job });
const create = async (job: Record<string, unknown> = {}) => {
  const { status, body } = await admin('POST', '/job_api', named(job));
  expect({ status, message: body.message }).toMatchObject({ status: 201 });
  return body.object;
};

const FIELDS = {
  description: 'What it is for',
  timeout_seconds: 30,
  max_retries: 3,
  retry_delay_seconds: 10,
  misfire_policy: 'catch_up',
  catch_up_max: 5,
  env: { GREETING: 'hello', EMPTY: '' },
  working_directory: '/var/tmp',
  starts_at: '2027-01-01T00:00:00.000Z',
  ends_at: '2028-01-01T00:00:00.000Z',
  keep_runs: 100,
  keep_days: 30,
};

describe('the new fields of a job', () => {
  test('come back as they were sent, and only where they say something', async () => {
    const plain = await create();
    const full = await create(FIELDS);
    expect(full).toMatchObject(FIELDS);
    for (const name of Object.keys(FIELDS)) expect(plain).not.toHaveProperty(name);
    expect((await admin('GET', `/job_api/${full.id}`)).body.object).toEqual(full);
  });

  test('stay as they are where a change does not name them; null or "" sets them back', async () => {
    const { id } = await create(FIELDS);
    const kept = await admin('PATCH', `/job_api/${id}`, { name: `renamed ${id}` });
    expect(kept.body.object).toMatchObject({ ...FIELDS, name: `renamed ${id}` });
    const nulls = Object.fromEntries(Object.keys(FIELDS).map((name, index) => [name, index % 2 ? null : '']));
    const cleared = await admin('PATCH', `/job_api/${id}`, nulls);
    expect(cleared.status).toBe(200);
    for (const name of Object.keys(FIELDS)) expect(cleared.body.object).not.toHaveProperty(name);
    expect(cleared.body.object).toMatchObject({ name: `renamed ${id}`, cron: JOB.cron, command: JOB.command });
  });

  test('bound when the job occurs', async () => {
    const job = await create({ cron: '0 0 * * *', starts_at: '2030-05-05', ends_at: '2030-05-06' });
    expect(job.next_run).toBe('2030-05-05T00:00:00.000Z');
    const { body } = await admin('GET', `/job_api/${job.id}/occurrences/2031-01-01`);
    expect(body.object).toEqual(['2030-05-05T00:00:00.000Z', '2030-05-06T00:00:00.000Z']);
    expect(await create({ ends_at: '2020-01-01' })).not.toHaveProperty('next_run');
    const moved = await admin('PATCH', `/job_api/${job.id}`, { starts_at: '2030-05-05T12:00' });
    expect(moved.body.object.next_run).toBe('2030-05-06T00:00:00.000Z');
  });

  test('of a form: env is its JSON', async () => {
    const form = new URLSearchParams({ ...named(), env: '{"A":"b"}', timeout_seconds: '5' } as Record<string, string>);
    expect((await admin('POST', '/job_api', form)).body.object).toMatchObject({ env: { A: 'b' }, timeout_seconds: 5 });
  });

  test.each([
    [{ timeout_seconds: -1 }, 'Timeout seconds must be in the range 0–2147483'],
    [{ timeout_seconds: 2 ** 31 }, 'Timeout seconds must be in the range 0–2147483'],
    [{ timeout_seconds: 'soon' }, 'Timeout seconds must be a whole number'],
    [{ timeout_seconds: 1.5 }, 'Timeout seconds must be a whole number'],
    [{ max_retries: 101 }, 'Max retries must be in the range 0–100'],
    [{ retry_delay_seconds: -5 }, 'Retry delay seconds must be in the range 0–604800'],
    [{ misfire_policy: 'whatever' }, 'Misfire policy must be one of skip, fire_once, catch_up'],
    [{ catch_up_max: 0 }, 'Catch up max must be in the range 1–1000'],
    [{ env: { 'A B': '' } }, "Env: 'A B' cannot be set; names have letters, digits and _, and BJR_ is reserved"],
    [
      { env: { BJR_RUN_ID: '1' } },
      "Env: 'BJR_RUN_ID' cannot be set; names have letters, digits and _, and BJR_ is reserved",
    ],
    [{ env: { A: 1 } }, 'Env must be an object whose values are strings'],
    [{ env: ['A'] }, 'Env must be an object whose values are strings'],
    [{ env: 'A=b' }, 'Env must be an object whose values are strings'],
    [{ env: { A: 'a\0b' } }, "Env can't contain a null character"],
    [{ env: { A: 'x'.repeat(32_768) } }, 'Env is too long (maximum is 32768 bytes)'],
    [{ working_directory: 'tmp' }, 'Working directory must be an absolute path'],
    [{ working_directory: `/${'x'.repeat(1024)}` }, 'Working directory is too long (maximum is 1024 characters)'],
    [{ description: 'x'.repeat(10_001) }, 'Description is too long (maximum is 10000 characters)'],
    [{ starts_at: 'once upon a time' }, "Starts at 'once upon a time' is not a date"],
    [{ starts_at: '2027-01-01', ends_at: '2027-01-01' }, 'Ends at must be later than starts_at'],
    [{ keep_runs: 100_001 }, 'Keep runs must be in the range 0–100000'],
    [{ keep_days: -1 }, 'Keep days must be in the range 0–36500'],
  ])('are refused by name: %j', async (fields, message) => {
    const { id } = await create();
    for (const answer of [admin('POST', '/job_api', named(fields)), admin('PATCH', `/job_api/${id}`, fields)]) {
      expect(await answer).toMatchObject({ status: 422, body: { message } });
    }
  });
});

describe('two editors', () => {
  test('cannot overwrite each other: If-Match', async () => {
    const { id } = await create();
    const tag = (await admin('GET', `/job_api/${id}`)).headers.get('etag') ?? '';
    expect(tag).toMatch(/^"[^"]+"$/);
    const [first, second] = await Promise.all(
      ['a', 'b'].map((command) => admin('PUT', `/job_api/${id}`, { command }, { 'if-match': tag })),
    );
    expect([first?.status, second?.status].toSorted()).toEqual([200, 412]);
    const winner = first?.status === 200 ? first : second;
    const loser = first?.status === 200 ? second : first;
    expect(loser?.body.message).toBe(
      `Job '${id}' has been changed since you read it. Read it again, then send your change.`,
    );
    expect((await admin('GET', `/job_api/${id}`)).body.object).toEqual(winner?.body.object);
    expect(await admin('DELETE', `/job_api/${id}`, undefined, { 'if-match': tag })).toMatchObject({ status: 412 });
    const now = winner?.headers.get('etag') ?? '';
    expect(await admin('DELETE', `/job_api/${id}`, undefined, { 'if-match': `"other", ${now}` })).toMatchObject({
      status: 200,
    });
  });

  test('a run does not change the tag; a weak tag never matches; * always does', async () => {
    const { id } = await create();
    const tag = (await admin('GET', `/job_api/${id}`)).headers.get('etag') ?? '';
    await env.query('UPDATE jobs SET last_run = UTC_TIMESTAMP(6), success = TRUE, duration_count = 1 WHERE id = ?', [
      id,
    ]);
    expect((await admin('GET', `/job_api/${id}`)).headers.get('etag')).toBe(tag);
    const patch = (ifMatch: string) => admin('PATCH', `/job_api/${id}`, { enabled: false }, { 'if-match': ifMatch });
    expect((await patch(`W/${tag}`)).status).toBe(412);
    expect((await patch('*')).status).toBe(200);
  });
});

describe('Idempotency-Key', () => {
  const key = () => ({ 'idempotency-key': crypto.randomUUID() });

  test('makes one job of ten requests at once, and each is told of it', async () => {
    const [job, header] = [named(), key()];
    const answers = await Promise.all(Array.from({ length: 10 }, () => admin('POST', '/job_api', job, header)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect(new Set(answers.map(({ body }) => body.object.id)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(9);
    expect(await env.query('SELECT COUNT(*) AS n FROM jobs WHERE name = ?', [job.name])).toEqual([{ n: 1 }]);
  });

  test('of another request is refused', async () => {
    const header = key();
    expect((await admin('POST', '/job_api', named(), header)).status).toBe(201);
    expect(await admin('POST', '/job_api', named(), header)).toMatchObject({
      status: 422,
      body: { message: 'Idempotency-Key has been used for another request.' },
    });
    expect((await admin('POST', '/job_api', named(), { 'idempotency-key': 'x'.repeat(256) })).status).toBe(422);
  });

  test('of a request that failed may be used again; another user has keys of their own', async () => {
    const [job, header] = [named(), key()];
    expect((await admin('POST', '/job_api', { ...job, cron: 'nonsense' }, header)).status).toBe(422);
    expect((await admin('POST', '/job_api', job, header)).status).toBe(201);
    const root = await api.signIn('root');
    const password = { password: 'password1234', password_confirmation: 'password1234' };
    await root('POST', '/user_api', { username: 'key owner', ...password });
    const other = await api.signIn('key owner');
    expect((await other('POST', '/job_api', job, header)).status).toBe(201);
  });

  test.each([
    ['admin', '/job_api', () => named()],
    ['admin', '/folder_api', () => ({ name: `folder ${Date.now()}`, expression: 'enabled' })],
    [
      'root',
      '/user_api',
      () => ({ username: 'soon gone', password: 'password1234', password_confirmation: 'password1234' }),
    ],
  ])('as %s: what POST %s made and is deleted since is not made again', async (username, path, input) => {
    const [call, body, header] = [await api.signIn(username), input(), key()];
    const { status, body: made } = await call('POST', path, body, header);
    expect(status).toBe(201);
    await call('DELETE', `${path}/${made.object.id}`);
    const again = await call('POST', path, body, header);
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([404, null]);
  });

  test('runs a job once, and tells the second request so instead of 409', async () => {
    const { id } = await create();
    const header = key();
    const [first, second] = [
      await admin('POST', `/job_api/${id}/run_now`, undefined, header),
      await admin('POST', `/job_api/${id}/run_now`, undefined, header),
    ];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect((await admin('POST', `/job_api/${id}/run_now`, undefined, key())).status).toBe(409);
  });

  test('that ran a job runs no other', async () => {
    const [first, other, header] = [await create(), await create(), key()];
    expect((await admin('POST', `/job_api/${first.id}/run_now`, undefined, header)).status).toBe(200);
    const { status, body } = await admin('POST', `/job_api/${other.id}/run_now`, undefined, header);
    expect({ status, message: body.message }).toEqual({
      status: 422,
      message: expect.stringContaining('Idempotency-Key'),
    });
    expect((await admin('POST', `/job_api/${other.id}/run_now`)).status).toBe(200);
  });
});

describe('names', () => {
  /** 255 characters, each of which canonical Unicode takes apart into three. */
  const growing = '\uFB2C'.repeat(255);

  test.each([
    ['admin', '/job_api', { name: growing, cron: '* * * * *', command: 'true' }, 422, 'Name'],
    ['admin', '/job_api', { name: 'tagged', cron: '* * * * *', command: 'true', tags: [growing] }, 422, 'Tags'],
    ['admin', '/folder_api', { name: growing, expression: 'enabled' }, 422, 'Name'],
    [
      'root',
      '/user_api',
      { username: growing, password: 'password1234', password_confirmation: 'password1234' },
      403,
      'Username',
    ],
  ])('as %s: what grows beyond its column is refused by POST %s', async (username, path, body, status, field) => {
    const call = await api.signIn(username);
    const answer = await call('POST', path, body);
    expect([answer.status, answer.body.message]).toEqual([
      status,
      expect.stringContaining(`${field} is too long (maximum is 255 characters)`),
    ]);
  });
});

describe('a form', () => {
  const inParts = (form: URLSearchParams) => {
    const parts = new FormData();
    for (const [name, value] of form) parts.append(name, value);
    return parts;
  };
  test.each([
    ['in the body', (form: URLSearchParams) => ['/job_api', form] as const],
    ['in several parts', (form: URLSearchParams) => ['/job_api', inParts(form)] as const],
    ['in the query', (form: URLSearchParams) => [`/job_api?${form}`, undefined] as const],
  ])('may list its tags, %s', async (_, toRequest) => {
    const form = new URLSearchParams({ ...named(), 'tags[]': 'b' });
    form.append('tags[]', 'a');
    const [path, body] = toRequest(form);
    expect((await admin('POST', path, body)).body.object.tags).toEqual(['a', 'b']);
  });
});

test('a callback with a null character is refused', async () => {
  const { status, body } = await admin('POST', '/job_api', { ...named(), success_callback: 'http://x\0' });
  expect([status, body.message]).toEqual([422, "Success callback can't contain a null character"]);
});
