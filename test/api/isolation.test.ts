import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { readDescription } from '../support/description.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

/*
 * One user never sees another's things: every route with an id, taken from the description. A route whose kind of id is not
 * known here fails: add what its id stands for.
 */
const routes = Object.entries(readDescription().paths)
  .filter(([path]) => path.includes('{id}'))
  .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })));

const NOT_FOUND = { status: 404 };
/** Whether there is such a user is not to be learned either. */
const NOT_ALLOWED = { status: 401 };

let env: TestEnvironment;
let api: ApiServer;
let other: Caller;
const things: Record<string, { id: number; expected: { status: number } }> = {};

beforeAll(async () => {
  env = await createEnvironment();
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  const [admin, root] = [await api.signIn('admin'), await api.signIn('root')];
  const password = { password: 'password1234', password_confirmation: 'password1234' };
  await root('POST', '/user_api', { username: 'other', ...password });
  other = await api.signIn('other');
  const job = (await admin('GET', '/job_api')).body.object[0];
  const folder = (await admin('GET', '/folder_api')).body.object[0];
  await env.query(
    `INSERT INTO job_runs (id, job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at)
     VALUES (77, ?, 2, 'manual', 1, 1, 'w', UTC_TIMESTAMP(6))`,
    [job.id],
  );
  things['job_api'] = { id: job.id, expected: NOT_FOUND };
  things['folder_api'] = { id: folder.id, expected: NOT_FOUND };
  things['job_run_api'] = { id: 77, expected: NOT_FOUND };
  await env.query(
    "INSERT INTO deliveries (id, job_id, user_id, run_id, url) VALUES (78, ?, 2, 77, 'https://x.example')",
    [job.id],
  );
  things['delivery_api'] = { id: 78, expected: NOT_FOUND };
  things['user_api'] = { id: 2, expected: NOT_ALLOWED };
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

describe('another user', () => {
  test.each(routes)('$method $path', async ({ method, path }) => {
    const thing = things[path.split('/')[1] ?? ''];
    if (!thing) throw new Error(`What is the id in ${path}?`);
    const target = path.replace('{id}', String(thing.id)).replace('{end_date}', '2030-01-01');
    const body = {
      name: 'mine',
      expression: 'enabled',
      password: 'password1234',
      password_confirmation: 'password1234',
    };
    const answer = await other(method, target, method === 'GET' ? undefined : body);
    expect(answer).toMatchObject(thing.expected);
    expect(answer.text).not.toContain('example');
  });

  test.each(['/job_api', '/folder_api', '/tags', '/job_server_api/recent_jobs', '/job_server_api/upcoming_jobs'])(
    'lists nothing of the first: %s',
    async (path) => expect((await other('GET', path)).body.object).toEqual([]),
  );

  test('has changed nothing', async () => {
    const rows = await env.query(
      'SELECT (SELECT COUNT(*) FROM jobs) AS jobs, (SELECT COUNT(*) FROM folders) AS folders',
    );
    expect(rows).toEqual([{ jobs: 3, folders: 5 }]);
    expect(await env.query('SELECT cancel_requested_at AS at FROM job_runs')).toEqual([{ at: null }]);
    expect(await env.query("SELECT * FROM jobs WHERE trigger_kind = 'manual' OR name = 'mine'")).toEqual([]);
    expect((await api.signIn('admin').then((admin) => admin('GET', '/job_api'))).status).toBe(200);
  });
});
