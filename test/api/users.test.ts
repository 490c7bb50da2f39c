import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { until } from '../support/processes.ts';

const ADMIN = 2;
const passwords = (password: string, confirmation = password) => ({ password, password_confirmation: confirmation });
const KNOWN = passwords('password1234');
let env: TestEnvironment;
let api: ApiServer;
let root: Caller;
let admin: Caller;
beforeAll(async () => {
  env = await createEnvironment({ TRUSTED_PROXIES: '1' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  [root, admin] = [await api.signIn('root'), await api.signIn('admin')];
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const said = ({ status, body }: { status: number; body: { message: string } }) => [status, body.message];

describe.each(['PUT', 'PATCH'])('%s of a user', (method) => {
  test.each([
    [passwords('short'), 'Password is too short (minimum is 8 bytes)'],
    [passwords('€'.repeat(25)), 'Password is too long (maximum is 72 bytes)'],
    [passwords('password1234', 'password4321'), "Password confirmation doesn't match Password"],
    [passwords('pass\0word1234'), "Password can't contain a null character"],
    [passwords(''), "Password can't be blank"],
  ])('says what is wrong with %j', async (body, problem) => {
    const [status, message] = said(await admin(method, `/user_api/${ADMIN}`, body));
    expect([status, message]).toEqual([403, expect.stringContaining(problem)]);
  });

  test('wants text', async () => {
    expect(said(await admin(method, `/user_api/${ADMIN}`, passwords({ a: 1 } as never)))).toEqual([
      422,
      'Password must be a string',
    ]);
  });

  test('that is another is not allowed, and one that is not there is not found', async () => {
    expect((await admin(method, '/user_api/1', KNOWN)).status).toBe(401);
    expect(said(await root(method, '/user_api/999999', KNOWN))).toEqual([404, 'User not found.']);
    expect(said(await root(method, '/user_api/abc', KNOWN))).toEqual([404, 'User not found.']);
  });

  test('revokes the tokens given out before', async () => {
    const name = `changed by ${method}`;
    const { id } = (await root('POST', '/user_api', { username: name, ...KNOWN })).body.object;
    const earlier = await api.signIn(name);
    const next = passwords('another password');
    expect((await earlier(method, `/user_api/${id}`, next)).status).toBe(200);
    expect((await earlier('GET', `/user_api/${id}`)).status).toBe(401);
    expect((await (await api.signIn(name, next.password))('GET', `/user_api/${id}`)).status).toBe(200);
  });
});

describe('a new user', () => {
  test('wants text, and a name', async () => {
    expect((await root('POST', '/user_api', { username: ['a'], ...KNOWN })).status).toBe(422);
    expect((await root('POST', '/user_api', { username: ' ', ...KNOWN })).body.message).toContain(
      "Username can't be blank",
    );
    expect((await api.call('POST', '/authenticate', { body: { username: {}, password: 'x' } })).status).toBe(422);
  });

  test('is made once for a key, of which no digest of the password is kept', async () => {
    const create = (username: string, password = KNOWN.password) =>
      root('POST', '/user_api', { username, ...passwords(password) }, { 'idempotency-key': 'once' });
    const [first, second] = [await create('keyed'), await create('keyed', 'another one')];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect((await create('another')).status).toBe(422);
    expect(
      (await api.signIn('keyed')) && (await env.query("SELECT id FROM users WHERE username = 'keyed'")),
    ).toHaveLength(1);
  });

  test('is not found once deleted', async () => {
    const { id } = (await root('POST', '/user_api', { username: 'brief', ...KNOWN })).body.object;
    expect((await root('DELETE', `/user_api/${id}`)).status).toBe(200);
    expect(said(await root('DELETE', `/user_api/${id}`))).toEqual([404, 'User not found.']);
  });
});

test('while many passwords are computed who comes late is told to come back, and nothing is changed', async () => {
  // A hundred may wait: the others are more than are computed until all have come.
  const some = <T>(make: (n: number) => Promise<T>) => Promise.all(Array.from({ length: 200 }, (_, n) => make(n)));
  const [created, put, patched] = await Promise.all([
    some((n) => root('POST', '/user_api', { username: `late ${n}`, ...KNOWN })),
    some(() => root('PUT', `/user_api/${ADMIN}`, KNOWN)),
    some(() => root('PATCH', `/user_api/${ADMIN}`, KNOWN)),
  ]);
  for (const answers of [created, put, patched]) {
    const late = answers.find(({ status }) => status === 429);
    expect(Number(late?.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  const names = await env.query<{ username: string }>("SELECT username FROM users WHERE username LIKE 'late %'");
  const made = created.flatMap(({ status, body }) => (status === 201 ? [body.object.username] : []));
  expect(names.map(({ username }) => username).toSorted()).toEqual(made.toSorted());
});

test('who is being deleted creates nothing any more', async () => {
  const { id } = (await root('POST', '/user_api', { username: 'leaving', ...KNOWN })).body.object;
  const leaving = await api.signIn('leaving');
  // The deletion, under way: the requests have been let in and wait for the user's row.
  await env.query('START TRANSACTION');
  await env.query('DELETE FROM users WHERE id = ?', [id]);
  const job = { name: 'orphan', cron: '* * * * *', command: 'true' };
  const late = [leaving('POST', '/job_api', job), leaving('POST', '/folder_api?name=orphan&expression=enabled')];
  const waiting =
    "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info LIKE '%users%' AND time >= 1 AND command <> 'Sleep'";
  await until(async () => Number((await env.query<{ n: number }>(waiting))[0]?.n) >= 2, 'both to wait');
  await env.query('COMMIT');
  expect((await Promise.all(late)).map(({ status }) => status)).toEqual([401, 401]);
  for (const table of ['jobs', 'folders']) {
    expect(await env.query('SELECT * FROM ?? WHERE user_id = ?', [table, id])).toEqual([]);
  }
});
