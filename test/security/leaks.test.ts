import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { readDescription } from '../support/description.ts';
import { createEnvironment, databaseKind, type TestEnvironment } from '../support/environment.ts';
import { type Process, startProcess, until } from '../support/processes.ts';

/*
 * Secrets are planted wherever one may be: what the API answers and what every process says, at its most talkative, is searched
 * for them. An answer may hold what its user wrote into their own job, and the token that was asked for.
 */

const plant = (name: string) => `planted-${name}-7c1f`;
const PLANTED = {
  secret: `${plant('secret-key-base')} that is long enough`,
  database: plant('database-password'),
  root: plant('root-password'),
  admin: plant('admin-password'),
  user: plant('user-password'),
  next: plant('next-password'),
  typed: plant('typed-password'),
  username: plant('typed-for-a-name'),
  token: plant('made-up-token'),
  env: plant('variable'),
  command: plant('command'),
  output: plant('output'),
  callbackUser: plant('callback-user'),
  callbackPassword: plant('callback-password'),
  callbackPath: plant('callback-path'),
  callbackQuery: plant('callback-query'),
};
/** What the user of a job may read of it. */
const OWN = [
  PLANTED.env,
  PLANTED.command,
  PLANTED.output,
  PLANTED.callbackUser,
  PLANTED.callbackPassword,
  PLANTED.callbackPath,
  PLANTED.callbackQuery,
];
const DIGEST = /\$2[aby]\$\d\d\$/;
const ACCOUNT = 'bjr_leaks';

let env: TestEnvironment;
let api: ApiServer;
let worker: Process;
let admin: Caller;
let root: Caller;
const heard: { name: string; text: string }[] = [];
const tokens: string[] = [];

/** The secrets in a text, but for those that belong there. */
const leaksIn = (text: string, allowed: readonly string[] = []) => {
  const secrets = [...Object.values(PLANTED), ...tokens].filter((secret) => !allowed.includes(secret));
  return [...secrets.filter((secret) => text.includes(secret)), ...(DIGEST.test(text) ? ['a digest'] : [])];
};
const said = ({ log, text }: Process) => [...log.map((line) => JSON.stringify(line)), ...text].join('\n');
/** Calls and keeps the answer; `admin`'s own things may be in it. */
const listen = async (caller: Caller, ...[method, path, body, headers]: Parameters<Caller>) => {
  const answer = await caller(method, path, body, headers);
  const shown = [answer.text, JSON.stringify([...answer.headers])].join('\n');
  heard.push({
    name: `${method} ${path}`,
    text: caller === admin ? OWN.reduce((text, own) => text.replaceAll(own, ''), shown) : shown,
  });
  return answer;
};

beforeAll(async () => {
  env = await createEnvironment();
  const { name } = env.config.database;
  // A password of the database's own, which the processes are given.
  const plugin = databaseKind === 'mariadb' ? 'IDENTIFIED BY' : 'IDENTIFIED WITH caching_sha2_password BY';
  await env.query(`CREATE USER IF NOT EXISTS ${ACCOUNT} ${plugin} ?`, [PLANTED.database]);
  await env.query('GRANT ALL ON ??.* TO ??', [name, ACCOUNT]);
  await seedFirstStart(env.db, { rootPassword: PLANTED.root, adminPassword: PLANTED.admin });
  const settings = {
    SECRET_KEY_BASE: PLANTED.secret,
    BJR_DATABASE_USERNAME: ACCOUNT,
    BJR_DATABASE_PASSWORD: PLANTED.database,
    INITIAL_ROOT_PASSWORD: PLANTED.root,
    INITIAL_ADMIN_PASSWORD: PLANTED.admin,
    LOG_LEVEL: 'trace',
    LOG_FORMAT: 'json',
  };
  Object.assign(env.env, settings);
  [api, worker] = [await startApi(env), startProcess('worker', env.env)];
  await worker.line((line) => line['msg'] === 'The worker is ready');
  const signIn = async (username: string, password: string): Promise<Caller> => {
    const { body } = await api.call('POST', '/authenticate', { body: { username, password } });
    const token = String(body.auth_token);
    tokens.push(token);
    return (method, path, input, headers = {}) =>
      api.call(method, path, { body: input, headers: { authorization: token, ...headers } });
  };
  [admin, root] = [await signIn('admin', PLANTED.admin), await signIn('root', PLANTED.root)];
});
afterAll(async () => {
  await Promise.all([api.process.end('SIGTERM'), worker.end('SIGTERM')]);
  await env.query('DROP USER ??', [ACCOUNT]);
  await env.close();
});

const callback = `http://${PLANTED.callbackUser}:${PLANTED.callbackPassword}@127.0.0.1:9/${PLANTED.callbackPath}?key=${PLANTED.callbackQuery}`;
/** In the command it is not what it is when printed. */
const halves = PLANTED.output.replace('-', "''-");
const job = {
  name: 'with secrets',
  cron: '0 0 1 1 *',
  command: `: ${PLANTED.command}; echo ${halves}; echo ${halves} >&2; exit 3`,
  env: { SECRET: PLANTED.env },
  success_callback: callback,
  failure_callback: callback,
};

describe('secrets', () => {
  test('are used everywhere: jobs, runs, users, sign-ins, and mistakes with each', async () => {
    const { id } = (await listen(admin, 'POST', '/job_api', job)).body.object;
    await listen(admin, 'PUT', `/job_api/${id}`, { env: { SECRET: PLANTED.env }, command: `${job.command} ` });
    await listen(admin, 'POST', `/job_api/${id}/run_now`);
    await until(
      async () => (await admin('GET', `/job_api/${id}/runs?succeeded=false`)).headers.get('total') === '1',
      'a run',
    );
    const [run] = (await listen(admin, 'GET', `/job_api/${id}/runs`)).body.object;
    expect(run.stdout).toContain(PLANTED.output);
    for (const path of ['', '/output', '/follow']) await listen(admin, 'GET', `/job_run_api/${run.id}${path}`);

    const passwords = (password: string, confirmation = password) => ({
      password,
      password_confirmation: confirmation,
    });
    const user = await listen(root, 'POST', '/user_api', { username: 'leaky', ...passwords(PLANTED.user) });
    await listen(root, 'PUT', `/user_api/${user.body.object.id}`, passwords(PLANTED.next));
    await listen(root, 'PUT', `/user_api/${user.body.object.id}`, passwords(PLANTED.next, PLANTED.typed));
    await listen(root, 'POST', '/user_api', { username: 'leaky', ...passwords(PLANTED.user) });
    await listen(root, 'POST', '/user_api', { username: 'x', ...passwords(PLANTED.typed.repeat(9)) });
    await listen(root, 'POST', '/user_api', { username: 'x', password: [PLANTED.typed] });
    const anyone: Caller = (method, path, body, headers) =>
      api.call(method, path, { body, ...(headers && { headers }) });
    for (const username of ['admin', PLANTED.username]) {
      await listen(anyone, 'POST', '/authenticate', { username, password: PLANTED.typed });
    }
    await listen(anyone, 'GET', '/job_api', undefined, { authorization: `Bearer ${PLANTED.token}` });
    await listen(anyone, 'GET', `/job_api?token=${PLANTED.token}`);
    for (const path of ['/health', '/version', '/openapi.json', '/api-docs', `/${PLANTED.token}`])
      await listen(anyone, 'GET', path);
  });

  test('are asked for by every operation', async () => {
    const [first] = (await admin('GET', '/job_api?expression=name:secrets')).body.object;
    const operations = Object.entries(readDescription().paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
    );
    for (const { method, path } of operations.filter(({ method: one }) => one === 'GET')) {
      const target = path.replace('{id}', String(first.id)).replace('{end_date}', '2030-01-01');
      for (const caller of [admin, root]) await listen(caller, method, target);
    }
    await listen(root, 'GET', '/audit_api?per_page=1000');
    await listen(admin, 'POST', `/job_server_api/quiesce_worker?host=${hostname()}`);
    expect(heard.length).toBeGreaterThan(60);
  });

  test('are in the errors of a database that fails, as a text and in the log', async () => {
    await env.query('RENAME TABLE jobs TO jobs_away, users TO users_away');
    const answers = [
      await listen(admin, 'POST', '/job_api', { ...job, name: 'another' }),
      await api.call('POST', '/authenticate', { body: { username: PLANTED.username, password: PLANTED.typed } }),
    ];
    await worker.line((line) => Number(line['level']) >= 50);
    await env.query('RENAME TABLE jobs_away TO jobs, users_away TO users');
    expect(answers.map(({ status }) => status)).toEqual([500, 500]);
    await env.query('RENAME TABLE audit_entries TO audit_entries_away');
    expect((await listen(admin, 'POST', '/job_api', { ...job, name: 'another' })).status).toBe(500);
    expect(
      (await listen(root, 'PUT', '/user_api/2', { password: PLANTED.next, password_confirmation: PLANTED.next }))
        .status,
    ).toBe(500);
    await env.query('RENAME TABLE audit_entries_away TO audit_entries');
  });

  test('are not in any answer', () => {
    for (const { name, text } of heard) {
      // The audit log shows root what was made to run.
      const leaks = leaksIn(text, name.includes('/audit_api') ? [PLANTED.command] : []);
      expect({ name, leaks }).toEqual({ name, leaks: [] });
    }
  });

  test('are not in the logs of the API and of the worker', async () => {
    const errors = () => api.process.log.filter((line) => Number(line['level']) >= 50);
    await until(() => errors().length >= 4, 'the errors that were answered to be logged');
    expect(worker.log.some((line) => line['event'] === 'run_recorded')).toBe(true);
    expect([leaksIn(said(api.process)), leaksIn(said(worker))]).toEqual([[], []]);
  });

  test('of a user are in no table in clear, but for what a command is made of', async () => {
    const tables = await env.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT IN ('jobs', 'deliveries', 'run_outputs', 'users')",
    );
    for (const { name } of tables) {
      const rows = JSON.stringify(await env.query('SELECT * FROM ??', [name]));
      expect({ name, leaks: leaksIn(rows, name === 'audit_entries' ? [PLANTED.command] : []) }).toEqual({
        name,
        leaks: [],
      });
    }
  });
});

describe('a start that fails says why, without the secrets', () => {
  test.each<[string, string, Record<string, string>]>([
    ['api', 'with a wrong password', { BJR_DATABASE_PASSWORD: `${PLANTED.database} wrong` }],
    ['worker', 'with a wrong password', { BJR_DATABASE_PASSWORD: `${PLANTED.database} wrong` }],
    ['migrate', 'with a wrong password', { BJR_DATABASE_PASSWORD: `${PLANTED.database} wrong` }],
    ['migrate', 'without a database', { BJR_DATABASE_PORT: '1' }],
    [
      'api',
      'with settings that cannot be',
      { NODE_ENV: 'production', PORT: 'x', SECRET_KEY_BASE: PLANTED.token, LOG_FORMAT: PLANTED.typed },
    ],
    ['nonsense', 'as a command that is none', {}],
  ])('%s, %s', async (command, _, settings) => {
    const process = startProcess(command, { ...env.env, ...settings });
    expect(await process.ended).not.toBe(0);
    expect(said(process)).not.toBe('');
    expect(leaksIn(said(process))).toEqual([]);
  });
});
