import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { type Operation, readDescription } from '../support/description.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

/*
 * What is sent stays a value: no parameter of any operation, taken from the description, is read as SQL. Whoever breaks out of
 * a string leaves a statement that cannot be parsed (a 500), or sees what is another's, or changes it.
 */

const SECRET = 'another-users-secret';
const PAYLOADS = [
  "'",
  '"',
  '\\',
  "\\' OR 1=1 -- ",
  "' OR '1'='1",
  '" OR "1"="1',
  "') OR 1=1 -- ",
  "' UNION SELECT id,command,command,command FROM jobs -- ",
  '1 OR 1=1',
  '1; DROP TABLE jobs',
  "'; UPDATE users SET is_root = 1; -- ",
  '%',
  "|' OR 1=1 -- ",
  '`\0?:id',
];

const description = readDescription();
interface Schema {
  $ref?: string;
  properties?: Record<string, unknown>;
}
const bodyFieldsOf = ({ requestBody }: Operation) => {
  const body = requestBody as { content: Record<string, { schema: Schema }> } | undefined;
  const name = body?.content['application/json']?.schema.$ref?.split('/').at(-1) ?? '';
  return Object.keys((description.components.schemas[name] as Schema | undefined)?.properties ?? {});
};
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: operation.operationId,
    method: method.toUpperCase(),
    path,
    parameters: operation.parameters ?? [],
    fields: bodyFieldsOf(operation),
  })),
);

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let root: Caller;
let before: unknown;
let jobId: number;
let otherJobId: number;
let otherToken: string;
/** All that belongs to others, and how the database is built. */
const snapshot = async () => ({
  tables: await env.query('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()'),
  users: await env.query('SELECT id, username, is_root, password_digest FROM users WHERE id <> 2 ORDER BY id'),
  jobs: await env.query('SELECT id, name, command, enabled, revision, state FROM jobs WHERE user_id <> 2 ORDER BY id'),
  folders: await env.query('SELECT id, name, expression FROM folders WHERE user_id <> 2 ORDER BY id'),
});
beforeAll(async () => {
  env = await createEnvironment({ LOGIN_ATTEMPTS_MAX: '1000000' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  [admin, root] = [await api.signIn('admin'), await api.signIn('root')];
  const password = { password: SECRET, password_confirmation: SECRET };
  await root('POST', '/user_api', { username: 'other', ...password });
  const other = await api.signIn('other', SECRET);
  const { body } = await api.call('POST', '/authenticate', { body: { username: 'other', password: SECRET } });
  otherToken = body.auth_token;
  const job = { name: SECRET, command: SECRET, cron: '0 0 1 1 *', tags: SECRET };
  otherJobId = (await other('POST', '/job_api', job)).body.object.id;
  await other('POST', '/folder_api', { name: SECRET, expression: 'enabled' });
  jobId = (await admin('POST', '/job_api', { ...job, name: 'mine', command: 'mine', tags: 'mine' })).body.object.id;
  before = await snapshot();
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const harmful = (answers: { status: number; text: string }[]) =>
  answers.filter(({ status, text }) => status >= 500 || text.includes(SECRET));
const pathOf = (path: string, replaced: Record<string, string> = {}) =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(replaced[name] ?? (name === 'id' ? String(jobId) : '2030-01-01')),
  );

describe('as a value only is read', () => {
  const all = operations.flatMap(({ parameters, fields, ...operation }) => [
    ...parameters.map(({ name, in: place }) => ({ ...operation, place, field: name })),
    ...fields.map((field) => ({ ...operation, place: 'body', field })),
  ]);
  // The first of the payloads would delete the thing, or follow it to its end.
  const cases = all.filter(
    ({ place, method, path }) => place === 'path' || (method !== 'DELETE' && !path.endsWith('/follow')),
  );

  test.each(cases)('$field in the $place of $name', async ({ method, path, place, field }) => {
    // Of users only the caller's own, so that no password is changed.
    const target = { user_api: '4711' }[path.split('/')[1] ?? ''];
    const send = (payload: string) => {
      const url = pathOf(path, { ...(target && { id: target }), ...(place === 'path' && { [field]: payload }) });
      const query = place === 'query' ? `?${new URLSearchParams({ [field]: payload })}` : '';
      const headers = place === 'header' ? { [field]: payload.replaceAll('\0', '') } : {};
      return admin(method, url + query, place === 'body' ? { [field]: payload } : undefined, headers);
    };
    expect(harmful(await Promise.all(PAYLOADS.map(send)))).toEqual([]);
  });

  test("nothing has changed but the caller's own", async () => {
    expect(await snapshot()).toEqual(before);
  });
});

describe('a search expression', () => {
  const TERMS = [
    'name',
    'command',
    'cmd',
    'timezone',
    'tz',
    'tag',
    'tags',
    'tag:|',
    'tag:&',
    'tag:!',
    'start_date',
    'end_date',
    '',
  ];
  test.each(TERMS)('%s takes a value for a value', async (term) => {
    const expressions = PAYLOADS.flatMap((payload) => {
      const values = [payload, `"${payload.replaceAll('"', '')}"`, payload.replaceAll(' ', '')];
      const terms = values.map((value) => `${term}${term === '' || /\W$/.test(term) ? '' : ':'}${value}`);
      const spans = values.map((value) => `start_date:${value} end_date:${value}`);
      return [...terms, ...terms.map((one) => `-${one}`), ...(term === 'start_date' ? spans : [])];
    });
    const search = (expression: string) => admin('GET', `/job_api?expression=${encodeURIComponent(expression)}`);
    expect(harmful(await Promise.all(expressions.map(search)))).toEqual([]);
  });

  /** Commas part tags. */
  const tagOf = (n: number, payload: string) => `t${n}${payload.replaceAll(',', ';')}|`;

  test('finds what is written as the payloads are, and nothing else', async () => {
    for (const [n, payload] of PAYLOADS.filter((text) => !text.includes('\0')).entries()) {
      const name = `payload ${n} ${payload}|`;
      const made = await admin('POST', '/job_api', {
        name,
        command: `: ${payload}|`,
        cron: '0 0 1 1 *',
        tags: tagOf(n, payload),
      });
      expect(made.status).toBe(201);
      const quoted = (text: string) => `"${text.replaceAll(/[\\"]/g, '\\$&')}"`;
      const terms = [`name:${quoted(name)}`, `command:${quoted(`: ${payload}|`)}`, `tag:${quoted(tagOf(n, payload))}`];
      for (const term of terms) {
        const found = await admin('GET', `/job_api?per_page=1000&expression=${encodeURIComponent(term)}`);
        expect(found.body.object.map((job: { name: string }) => job.name)).toContain(name);
        expect(found.text).not.toContain(SECRET);
      }
      const folder = await admin('POST', '/folder_api', { name, expression: `name:${quoted(name)}` });
      expect(folder.body.object).toMatchObject({ name, job_count: 1 });
      await admin('DELETE', `/job_api/${made.body.object.id}`);
    }
  });
});

test('a name and password that are SQL sign nobody in', async () => {
  for (const payload of PAYLOADS) {
    for (const credentials of [
      { username: payload, password: SECRET },
      { username: `root${payload}`, password: payload },
      { username: 'root', password: payload },
    ]) {
      const { status, body } = await api.call('POST', '/authenticate', { body: credentials });
      expect([status, body.auth_token]).toEqual([401, '']);
    }
  }
});

describe("another's things", () => {
  test('are not to be had by fields that no operation takes', async () => {
    const smuggled = {
      id: 4711,
      user_id: 3,
      userId: 3,
      is_root: true,
      isRoot: true,
      token_version: 9,
      state: 'leased',
      lease_owner: 'me',
      next_run: '2001-01-01',
      revision: 99,
    };
    const { body } = await admin('POST', '/job_api', {
      name: 'smuggled',
      command: 'true',
      cron: '0 0 1 1 *',
      ...smuggled,
    });
    await admin('PUT', `/job_api/${body.object.id}`, smuggled);
    const [job] = await env.query('SELECT user_id, state, revision, lease_owner FROM jobs WHERE id = ?', [
      body.object.id,
    ]);
    expect(job).toEqual({ user_id: 2, state: 'idle', revision: 1, lease_owner: null });
    const passwords = { password: 'password1234', password_confirmation: 'password1234' };
    const user = await root('POST', '/user_api', { username: 'smuggled', ...passwords, ...smuggled });
    await root('PUT', `/user_api/${user.body.object.id}`, { ...passwords, ...smuggled });
    const [row] = await env.query('SELECT is_root, token_version FROM users WHERE username = ?', ['smuggled']);
    expect(row).toEqual({ is_root: 0, token_version: 1 });
  });

  test('are not to be had by an Idempotency-Key that the other has used', async () => {
    const other: Caller = (method, path, body, headers) =>
      api.call(method, path, { body, headers: { authorization: otherToken, ...headers } });
    const key = { 'idempotency-key': 'shared' };
    const job = { name: 'keyed', command: SECRET, cron: '0 0 1 1 *' };
    const theirs = await other('POST', '/job_api', job, key);
    const mine = await admin('POST', '/job_api', { ...job, command: 'mine' }, key);
    expect([theirs.status, mine.status, mine.headers.get('idempotent-replayed')]).toEqual([201, 201, null]);
    expect(mine.body.object.id).not.toBe(theirs.body.object.id);
    expect(mine.text).not.toContain(SECRET);
  });

  test('are in no list and in no count, whatever is searched for', async () => {
    for (const expression of [
      'enabled',
      `name:${SECRET}`,
      `tag:${SECRET}`,
      `-name:x`,
      `command:${SECRET}`,
      'tag:!x',
      'timezone:UTC',
    ]) {
      const { text, body } = await admin('GET', `/job_api?per_page=1000&expression=${encodeURIComponent(expression)}`);
      expect(text).not.toContain(SECRET);
      expect(body.object.map(({ id }: { id: number }) => id)).not.toContain(otherJobId);
      const folder = { name: `of ${expression}`, expression };
      const count = (await admin('POST', '/folder_api', folder)).body.object.job_count;
      expect(count).toBe(body.object.length);
    }
    for (const path of ['/tags', '/user_api', '/job_server_api/recent_jobs', '/job_server_api/upcoming_jobs']) {
      expect((await admin('GET', `${path}?per_page=1000&count=20`)).text).not.toContain('other');
    }
  });

  test('do not count in statistics', async () => {
    await env.query(
      `INSERT INTO job_stats (user_id, period, start_at, end_at, runs, total_jobs)
       SELECT 3, period.name, UTC_TIMESTAMP(6) - INTERVAL 1 SECOND, UTC_TIMESTAMP(6), 4711, 4711
       FROM (SELECT 'minute' AS name UNION SELECT 'hour' UNION SELECT 'day' UNION SELECT 'week') AS period`,
    );
    for (const name of [
      'todays_stats',
      'minutely_job_stats',
      'hourly_job_stats',
      'daily_job_stats',
      'weekly_job_stats',
    ]) {
      const { status, text } = await admin('GET', `/job_server_api/${name}?per_page=1000&start_date=2001-01-01`);
      expect(status).toBe(200);
      expect(text).not.toContain('4711');
    }
  });
});
