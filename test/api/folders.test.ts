import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let root: Caller;
let other: Caller;
beforeAll(async () => {
  env = await createEnvironment();
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  [admin, root] = [await api.signIn('admin'), await api.signIn('root')];
  await root('POST', '/user_api', {
    username: 'other',
    password: 'password1234',
    password_confirmation: 'password1234',
  });
  other = await api.signIn('other');
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const refused = (status: number, message: string) => ({
  status,
  body: { message, is_error: true, object: {}, object_type: '', status_code: status },
});
const query = (fields: Record<string, string>) => `?${new URLSearchParams(fields)}`;
const create = (fields: Record<string, string>) => admin('POST', `/folder_api${query(fields)}`);

describe('folders', () => {
  test('of the first start count their jobs live', async () => {
    const { body, headers } = await admin('GET', '/folder_api');
    expect(body).toMatchObject({ message: 'Folder(s) received successfully.', object_type: 'folderarray' });
    expect(
      body.object.map(({ name, expression, job_count }: Record<string, unknown>) => ({ name, expression, job_count })),
    ).toEqual([
      { name: 'Successful Jobs', expression: 'successful', job_count: 0 },
      { name: 'Failed Jobs', expression: 'failed', job_count: 0 },
      { name: 'Running Jobs', expression: 'running', job_count: 0 },
      { name: 'Disabled Jobs', expression: 'disabled', job_count: 1 },
      { name: 'Example Jobs', expression: 'tags:example', job_count: 2 },
    ]);
    expect(headers.get('total')).toBe('5');
    await env.query("UPDATE jobs SET success = TRUE WHERE name = 'Welcome to BJR'");
    expect((await admin('GET', '/folder_api?per_page=1')).body.object[0].job_count).toBe(1);
  });

  test('are created from the query or a body, shown, changed in part and deleted', async () => {
    const created = await create({ name: 'Mine', expression: 'name:welcome' });
    const { id } = created.body.object;
    const mine = { id, name: 'Mine', expression: 'name:welcome', job_count: 1 };
    expect(created).toMatchObject({
      status: 201,
      body: { message: `Folder ${id} created successfully.`, object_type: 'folder' },
    });
    expect(created.body.object).toEqual(mine);
    expect((await admin('GET', `/folder_api/${id}`)).body.object).toEqual(mine);
    const renamed = await admin('PUT', `/folder_api/${id}${query({ name: 'Renamed' })}`);
    expect(renamed.body).toMatchObject({
      message: `Folder ${id} updated successfully.`,
      object: { ...mine, name: 'Renamed' },
    });
    const narrowed = await admin('PATCH', `/folder_api/${id}`, { expression: 'enabled' });
    expect(narrowed.body.object).toEqual({ id, name: 'Renamed', expression: 'enabled', job_count: 2 });
    expect((await admin('DELETE', `/folder_api/${id}`)).body.message).toBe(`Folder ${id} deleted successfully.`);
    for (const [method, path] of [
      ['GET', ''],
      ['PUT', '?name=x'],
      ['DELETE', ''],
      ['GET', '/jobs'],
    ] as const) {
      const target = method === 'GET' && path ? `/folder_api/${id}${path}` : `/folder_api/${id}${path}`;
      expect(await admin(method, target)).toMatchObject(refused(404, 'Folder not found.'));
    }
  });

  test.each([
    [{ name: '', expression: '' }, "Name can't be blank Expression can't be blank"],
    [{ name: 'failed JOBS', expression: 'failed' }, 'Name has already been taken'],
    [{ name: 'a', expression: 'bogus' }, "Unknown search term 'bogus'."],
    [{ name: 'a', expression: 'enabled tag:' }, "Expression: 'tag:' at character 9 has no value"],
    [{ name: 'x'.repeat(256), expression: 'enabled' }, 'Name is too long (maximum is 255 characters)'],
    [{ name: 'a', expression: `name:${'x'.repeat(1000)}` }, 'Expression is too long (maximum is 1000 characters)'],
    [{ name: 'a\0', expression: 'enabled' }, "Name can't contain a null character"],
  ])('with %j are not saved', async (fields, message) => {
    expect(await create(fields)).toMatchObject(refused(422, message));
    const [folder] = (await admin('GET', '/folder_api')).body.object;
    expect(await admin('PUT', `/folder_api/${folder.id}${query(fields)}`)).toMatchObject(refused(422, message));
    expect((await admin('GET', '/folder_api')).body.object).toHaveLength(5);
  });

  test('are made once for an Idempotency-Key', async () => {
    const header = { 'idempotency-key': crypto.randomUUID() };
    const post = () => admin('POST', '/folder_api', { name: 'Once', expression: 'enabled' }, header);
    const [first, second] = [await post(), await post()];
    expect([first.status, second.status, second.body]).toEqual([201, 201, first.body]);
    await admin('DELETE', `/folder_api/${first.body.object.id}`);
  });

  test('belong to their user; root has none', async () => {
    const [folder] = (await admin('GET', '/folder_api')).body.object;
    expect((await other('GET', '/folder_api')).body.object).toEqual([]);
    expect(await other('GET', `/folder_api/${folder.id}`)).toMatchObject(refused(404, 'Folder not found.'));
    expect(await other('DELETE', `/folder_api/${folder.id}`)).toMatchObject(refused(404, 'Folder not found.'));
    const message = 'The root user is not permitted to perform this action.';
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '?name=a&expression=enabled'],
      ['GET', '/1'],
      ['GET', '/1/jobs'],
    ] as const)
      expect(await root(method, `/folder_api${path}`)).toMatchObject(refused(403, message));
  });

  test('list their jobs in pages', async () => {
    const folders = (await admin('GET', '/folder_api')).body.object;
    const example = folders.find(({ name }: { name: string }) => name === 'Example Jobs');
    const { body, headers } = await admin('GET', `/folder_api/${example.id}/jobs?per_page=1&page=2`);
    expect(body).toMatchObject({ message: 'Job(s) received successfully.', object_type: 'jobarray' });
    expect(body.object.map(({ name }: { name: string }) => name)).toEqual(['Failing Job']);
    expect([headers.get('total'), headers.get('per-page')]).toEqual(['2', '1']);
  });
});

describe('a search', () => {
  const names = async (expression: string) =>
    (await admin('GET', `/job_api${query({ expression })}`)).body.object.map(({ name }: { name: string }) => name);

  test('lists the jobs for which all terms hold', async () => {
    expect(await names('tag:example')).toEqual(['Welcome to BJR', 'Failing Job']);
    expect(await names('tag:example -tag:failing')).toEqual(['Welcome to BJR']);
    expect(await names('name:"failing job" enabled')).toEqual(['Failing Job']);
    expect(await names('cmd:"I wont"')).toEqual(['Disabled Job']);
    expect(await names(`name:' OR 1=1 --`.replaceAll(' ', '_'))).toEqual([]);
  });

  test('says what it cannot read', async () => {
    expect(await admin('GET', '/job_api?expression=oops')).toMatchObject(refused(422, "Unknown search term 'oops'."));
  });

  test('counts what it finds', async () => {
    const { headers, body } = await admin('GET', `/job_api${query({ expression: 'tag:example', per_page: '1' })}`);
    expect([headers.get('total'), body.object.length]).toEqual(['2', 1]);
    expect(headers.get('link')).toContain('expression=tag%3Aexample');
  });
});

test('the total of a list without a search is kept as jobs come and go', async () => {
  const total = async () => Number((await other('GET', '/job_api')).headers.get('total'));
  const job = (name: string) => other('POST', '/job_api', { name, cron: '0 0 1 1 *', command: 'true' });
  const [first] = [await job('a'), await job('b'), await job('a')];
  expect(await total()).toBe(2);
  await other('DELETE', `/job_api/${first.body.object.id}`);
  expect(await total()).toBe(1);
});

describe('tags and time zones', () => {
  test('tags count their jobs and are their user’s', async () => {
    const { body, headers } = await admin('GET', '/tags');
    expect(body).toMatchObject({ message: 'Tags received successfully.', object_type: 'tagarray' });
    expect(body.object).toEqual([
      { id: expect.any(Number), name: 'example', taggings_count: 2 },
      { id: expect.any(Number), name: 'failing', taggings_count: 1 },
    ]);
    expect(headers.get('total')).toBe('2');
    expect((await other('GET', '/tags')).body.object).toEqual([]);
    expect((await root('GET', '/tags')).body.object).toEqual([]);
  });

  test('display names lead to IANA names', async () => {
    const { body } = await admin('GET', '/timezones');
    expect(body).toMatchObject({ message: 'Timezones received successfully.', object_type: 'tzarray' });
    expect(body.object).toMatchObject({ Samoa: 'Pacific/Apia', 'Eastern Time (US & Canada)': 'America/New_York' });
    expect(Object.keys(body.object).length).toBeGreaterThan(140);
    expect((await api.call('GET', '/timezones')).status).toBe(401);
  });
});

test('a folder whose words cannot be read is refused, or says so for its jobs alone', async () => {
  const { id } = (await create({ name: 'Unreadable', expression: 'enabled' })).body.object;
  const changed = await admin('PATCH', `/folder_api/${id}`, { expression: 'enabled colour:red' });
  expect([changed.status, changed.body.message]).toEqual([422, expect.stringContaining('colour')]);
  await env.query("UPDATE folders SET expression = 'start_date:zzz' WHERE id = ?", [id]);
  expect(await admin('GET', `/folder_api/${id}/jobs`)).toMatchObject({ status: 422, body: { object: {} } });
  expect((await admin('GET', `/folder_api/${id}`)).body.object.job_count).toBe(0);
});
