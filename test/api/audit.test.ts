import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareFields } from '../../src/domain/audit.ts';
import { createLog } from '../../src/platform/log.ts';
import { createAttempts } from '../../src/redis/attempts.ts';
import { awaitRedis, connectRedis } from '../../src/redis/connection.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { mayNoteRefusal } from '../../src/services/signInLimit.ts';
import { pruneAuditEntries } from '../../src/store/auditEntries.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { startProcess } from '../support/processes.ts';

const PLANTED = 'a-planted-secret';
const PASSWORDS = { password: PLANTED, password_confirmation: PLANTED };
const JOB = { name: 'audited', cron: '0 0 1 1 *', command: 'true' };
const FROM = { 'x-forwarded-for': '1.1.1.1, 192.0.2.7:4711' };

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let root: Caller;
beforeAll(async () => {
  env = await createEnvironment({ TRUSTED_PROXIES: '1' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  [admin, root] = [await api.signIn('admin'), await api.signIn('root')];
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const entries = async (query = '') => (await root('GET', `/audit_api?per_page=1000&${query}`)).body.object;
/** The newest entry, without what differs from run to run. */
const newest = async () => {
  const [{ id: _, created_at: at, ...entry }] = await entries();
  expect(new Date(at).getTime()).toBeGreaterThan(Date.now() - 60_000);
  return entry;
};
const byAdmin = { user_id: 2, username: 'admin', address: '192.0.2.7' };
const byRoot = { user_id: 1, username: 'root', address: '127.0.0.1' };
const newJob = async (job: Record<string, unknown> = {}) => {
  const { body } = await admin('POST', '/job_api', { ...JOB, name: `job ${crypto.randomUUID()}`, ...job }, FROM);
  return body.object.id as number;
};
const insertRun = async (jobId: number) => {
  await env.query(
    `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at)
     VALUES (?, 2, 'manual', 1, 1, 'w', UTC_TIMESTAMP(6))`,
    [jobId],
  );
  const [row] = await env.query<{ id: number }>('SELECT MAX(id) AS id FROM job_runs');
  return row?.id ?? 0;
};

describe('the audit log', () => {
  test('says of a job who made, changed, ran and deleted it, and hides its secrets', async () => {
    const callback = `https://user:${PLANTED}@hooks.example.com/${PLANTED}?token=${PLANTED}`;
    const id = await newJob({ ...JOB, env: { KEY: PLANTED }, success_callback: callback, tags: 'b,a' });
    const hidden = { env: { KEY: '[hidden]' }, success_callback: 'https://hooks.example.com/[hidden]' };
    const job = { ...byAdmin, kind: 'job', object_id: id };
    const created = await newest();
    expect(created).toMatchObject({
      ...job,
      operation: 'create',
      before: null,
      after: { ...JOB, ...hidden, tags: ['a', 'b'] },
    });
    expect(Object.keys(created.after)).toHaveLength(21);

    const change = { command: 'false', tags: 'c', env: { KEY: `${PLANTED} anew` }, enabled: false };
    await admin('PUT', `/job_api/${id}`, { ...change, name: JOB.name }, FROM);
    expect(await newest()).toEqual({
      ...job,
      operation: 'update',
      before: { command: 'true', tags: ['a', 'b'], env: hidden.env, enabled: true },
      after: { command: 'false', tags: ['c'], env: hidden.env, enabled: false },
    });
    await admin('POST', `/job_api/${id}/run_now`, undefined, FROM);
    expect(await newest()).toEqual({ ...job, operation: 'run_now', before: null, after: null });
    await admin('DELETE', `/job_api/${id}`, undefined, FROM);
    expect(await newest()).toMatchObject({ ...job, operation: 'delete', before: { command: 'false' }, after: null });
    expect(await env.query('SELECT * FROM audit_entries').then(JSON.stringify)).not.toContain(PLANTED);
  });

  test('believes of a forwarded address what is one', async () => {
    for (const [forwarded, address] of [
      ['2001:db8::1', '2001:db8::1'],
      ['[2001:db8::1]:4711', '2001:db8::1'],
      ['x'.repeat(8000), '127.0.0.1'],
      ['', '127.0.0.1'],
    ] as const) {
      const headers = { 'x-forwarded-for': forwarded };
      expect((await admin('POST', '/job_api', { ...JOB, name: crypto.randomUUID() }, headers)).status).toBe(201);
      expect(await newest()).toMatchObject({ address });
    }
  });

  test('shows of long texts the beginning, and their digests', () => {
    const long = 'x'.repeat(60_000);
    const { before, after } = compareFields({ command: long }, { command: `${long}y` });
    expect(String(before?.['command']).length).toBeLessThan(4200);
    expect(before).not.toEqual(after);
  });

  test('says of a folder who made, changed and deleted it', async () => {
    const folder = { name: 'audited', expression: 'enabled' };
    const { id } = (await admin('POST', '/folder_api', folder, FROM)).body.object;
    const common = { ...byAdmin, kind: 'folder', object_id: id };
    expect(await newest()).toEqual({ ...common, operation: 'create', before: null, after: folder });
    await admin('PATCH', `/folder_api/${id}`, { expression: 'disabled' }, FROM);
    const [before, after] = [{ expression: 'enabled' }, { expression: 'disabled' }];
    expect(await newest()).toEqual({ ...common, operation: 'update', before, after });
    await admin('DELETE', `/folder_api/${id}`, undefined, FROM);
    expect(await newest()).toEqual({ ...common, operation: 'delete', before: { ...folder, ...after }, after: null });
  });

  test('says of a user who made it, gave it another password and deleted it, and keeps what the user did', async () => {
    const { id } = (await root('POST', '/user_api', { username: 'brief', ...PASSWORDS })).body.object;
    const common = { ...byRoot, kind: 'user', object_id: id };
    expect(await newest()).toEqual({ ...common, operation: 'create', before: null, after: { username: 'brief' } });
    await root('PUT', `/user_api/${id}`, PASSWORDS);
    expect(await newest()).toEqual({ ...common, operation: 'change_password', before: null, after: null });
    const brief = await api.signIn('brief', PLANTED);
    await brief('POST', '/job_api', JOB);
    await root('DELETE', `/user_api/${id}`);
    const before = { username: 'brief', jobs: 1 };
    expect(await newest()).toEqual({ ...common, operation: 'delete', before, after: null });
    expect(await entries(`user_id=${id}`)).toMatchObject([{ username: 'brief', operation: 'create', kind: 'job' }]);
    expect(await env.query('SELECT * FROM audit_entries').then(JSON.stringify)).not.toMatch(`${PLANTED}|\\$2[aby]\\$`);
  });

  test('says who had a run ended, and what workers were told', async () => {
    const runId = await insertRun(await newJob());
    await admin('POST', `/job_run_api/${runId}/cancel`, undefined, FROM);
    const cancel = { operation: 'cancel', kind: 'run', object_id: runId, before: null, after: null };
    expect(await newest()).toEqual({ ...byAdmin, ...cancel });
    const worker = startProcess('worker', env.env);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    const host = hostname();
    const { status } = await admin('POST', `/job_server_api/quiesce_worker?host=${host}`, undefined, FROM);
    expect(status).toBe(200);
    const told = { operation: 'quiesce', kind: 'workers', object_id: null, before: null, after: { host } };
    expect(await newest()).toEqual({ ...byAdmin, ...told });
    await worker.end('SIGTERM');
  });

  test('says whose sign-in was refused and from where, but not what was typed for a name', async () => {
    const tryTo = (username: string) =>
      api.call('POST', '/authenticate', { body: { username, password: PLANTED }, headers: FROM });
    await tryTo('admin');
    const refusal = { user_id: null, username: '', address: '192.0.2.7', operation: 'refuse_sign_in', kind: 'user' };
    expect(await newest()).toEqual({ ...refusal, object_id: 2, before: null, after: null });
    await tryTo(`${PLANTED} as a name`);
    expect(await newest()).toEqual({ ...refusal, object_id: null, before: null, after: null });
    expect(await env.query('SELECT * FROM audit_entries').then(JSON.stringify)).not.toContain(PLANTED);
  });

  test('takes no more than a thousand refusals in a quarter of an hour', async () => {
    const redis = connectRedis(env.config.redis, createLog({ level: 'silent', format: 'json' }));
    await awaitRedis(redis, 5000);
    const attempts = createAttempts(redis, env.config.redis.prefix);
    while (await mayNoteRefusal(attempts));
    redis.disconnect();
    const before = await entries();
    const body = { username: 'admin', password: 'wrong' };
    expect((await api.call('POST', '/authenticate', { body })).status).toBe(401);
    expect(await entries()).toEqual(before);
  });

  test('is for root, by user, kind, id and time, in pages', async () => {
    expect(await admin('GET', '/audit_api')).toMatchObject({
      status: 401,
      body: { message: 'You are not authorized to perform this action.' },
    });
    const id = await newJob();
    for (const command of ['a', 'b']) await admin('PUT', `/job_api/${id}`, { command });
    const operations = (list: { operation: string }[]) => list.map(({ operation }) => operation);
    expect(operations(await entries(`kind=job&object_id=${id}`))).toEqual(['update', 'update', 'create']);
    expect(await entries(`kind=folder&object_id=${id}&user_id=1`)).toEqual([]);
    const { headers, body } = await root('GET', `/audit_api?kind=job&object_id=${id}&per_page=2&page=2`);
    expect([headers.get('total'), operations(body.object)]).toEqual(['3', ['create']]);
    const at = body.object[0].created_at;
    expect((await entries(`kind=job&object_id=${id}&start_date=${at}`)).length).toBe(3);
    expect(await entries(`kind=job&object_id=${id}&end_date=2020-01-01`)).toEqual([]);
    const local = await root('GET', `/audit_api?object_id=${id}&kind=job&timezone=Asia/Tokyo`);
    expect(local.body.object[0].created_at).toContain('+09:00');
    for (const query of ['kind=nothing', 'user_id=x', 'object_id=1.5', 'start_date=soonish']) {
      expect((await root('GET', `/audit_api?${query}`)).status).toBe(422);
    }
  });
});

describe('a change and its entry', () => {
  const counts = async () => {
    const [row] = await env.query(
      `SELECT (SELECT COUNT(*) FROM jobs) AS jobs, (SELECT COUNT(*) FROM folders) AS folders,
        (SELECT COUNT(*) FROM users) AS users, (SELECT SUM(revision) FROM jobs) AS revisions,
        (SELECT SUM(token_version) FROM users) AS versions, (SELECT COUNT(*) FROM jobs WHERE state = 'due') AS due,
        (SELECT COUNT(*) FROM job_runs WHERE cancel_requested_at IS NOT NULL) AS canceled,
        (SELECT GROUP_CONCAT(expression) FROM folders) AS expressions`,
    );
    return row;
  };

  test('are written together: what cannot be noted does not happen', async () => {
    const jobId = await newJob();
    const runId = await insertRun(jobId);
    const folderId = (await admin('POST', '/folder_api', { name: 'kept', expression: 'enabled' })).body.object.id;
    const userId = (await root('POST', '/user_api', { username: 'kept', ...PASSWORDS })).body.object.id;
    const changes: [Caller, string, string, unknown?][] = [
      [admin, 'POST', '/job_api', { ...JOB, name: 'never' }],
      [admin, 'PUT', `/job_api/${jobId}`, { command: 'never' }],
      [admin, 'POST', `/job_api/${jobId}/run_now`],
      [admin, 'DELETE', `/job_api/${jobId}`],
      [admin, 'POST', `/job_run_api/${runId}/cancel`],
      [admin, 'POST', '/folder_api', { name: 'never', expression: 'enabled' }],
      [admin, 'PUT', `/folder_api/${folderId}`, { expression: 'disabled' }],
      [admin, 'DELETE', `/folder_api/${folderId}`],
      [root, 'POST', '/user_api', { username: 'never', ...PASSWORDS }],
      [root, 'PUT', `/user_api/${userId}`, PASSWORDS],
      [root, 'DELETE', `/user_api/${userId}`],
    ];
    const before = await counts();
    await env.query('RENAME TABLE audit_entries TO audit_entries_away');
    const statuses = [];
    for (const [caller, method, path, body] of changes) statuses.push((await caller(method, path, body)).status);
    await env.query('RENAME TABLE audit_entries_away TO audit_entries');
    expect(statuses).toEqual(changes.map(() => 500));
    expect(await counts()).toEqual(before);
  });

  test('are written together: what does not happen is not noted', async () => {
    await newJob({ name: 'taken' });
    const id = await newJob();
    const before = (await entries()).length;
    expect((await admin('PUT', `/job_api/${id}`, { name: 'taken' })).status).toBe(422);
    expect((await admin('POST', '/job_api', { ...JOB, name: 'taken' })).status).toBe(422);
    expect((await admin('PUT', `/job_api/${id}`, { name: 'x' }, { 'if-match': '"77"' })).status).toBe(412);
    // The last statement of a create under a key comes after the entry's.
    await env.query(
      "CREATE TRIGGER refuse BEFORE UPDATE ON idempotency_keys FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'",
    );
    const key = { 'idempotency-key': 'refused' };
    const answers = [
      await admin('POST', '/job_api', { ...JOB, name: 'never' }, key),
      await admin('POST', `/job_api/${id}/run_now`, undefined, key),
      await admin('POST', '/folder_api', { name: 'never', expression: 'enabled' }, key),
      await root('POST', '/user_api', { username: 'never', ...PASSWORDS }, key),
    ];
    await env.query('DROP TRIGGER refuse');
    expect(answers.map(({ status }) => status)).toEqual([500, 500, 500, 500]);
    expect((await entries()).length).toBe(before);
  });

  test('that an Idempotency-Key repeats is noted once', async () => {
    const key = { 'idempotency-key': 'noted once' };
    const [first, second] = [
      await admin('POST', '/job_api', { ...JOB, name: 'once' }, key),
      await admin('POST', '/job_api', { ...JOB, name: 'once' }, key),
    ];
    expect([first?.status, second?.status]).toEqual([201, 201]);
    expect(await entries(`kind=job&object_id=${first?.body.object.id}`)).toHaveLength(1);
  });
});

test('entries are kept for as long as is said, and removed in batches', async () => {
  await env.query('DELETE FROM audit_entries');
  const row = "(1, 'root', '127.0.0.1', 'create', 'user', UTC_TIMESTAMP(6) - INTERVAL ? DAY)";
  const insert = `INSERT INTO audit_entries (user_id, username, address, operation, kind, created_at) VALUES `;
  const ages = Array.from({ length: 1200 }, (_, n) => (n < 1100 ? 31 : 29));
  await env.query(insert + ages.map(() => row).join(), ages);
  expect(await pruneAuditEntries(env.db, 0)).toBe(0);
  expect(await pruneAuditEntries(env.db, 30)).toBe(1100);
  expect(await entries()).toHaveLength(100);
  expect(await pruneAuditEntries(env.db, 30)).toBe(0);
});
