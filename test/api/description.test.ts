import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { readDescription } from '../support/description.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

/*
 * What holds for every operation, taken from the description: a new one cannot be forgotten. That each answer is one the
 * description allows is seen to by `call` (test/support/api.ts), in every test.
 */
const operations = Object.entries(readDescription().paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: operation.operationId,
    method: method.toUpperCase(),
    path: path.replaceAll('{end_date}', '2030-01-01').replaceAll(/\{\w+\}/g, '1'),
    operation,
  })),
);
const isPublic = ({ operation }: (typeof operations)[number]) => operation.security?.length === 0;

let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let root: Caller;
beforeAll(async () => {
  env = await createEnvironment({ LOGIN_ATTEMPTS_MAX: '1000' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  [admin, root] = [await api.signIn('admin'), await api.signIn('root')];
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

describe('every operation', () => {
  test.each(operations)('$name refuses a zone that is none, and names it', async ({ method, path }) => {
    const { status, body } = await admin(method, `${path}?timezone=Nowhere`);
    expect([status, body.message]).toEqual([
      400,
      `Invalid timezone 'Nowhere' specified. Acceptable timezone list: ${api.url}/timezones`,
    ]);
  });

  test.each(operations.filter((one) => !isPublic(one)))('$name needs a token', async ({ method, path }) => {
    const { status, body } = await api.call(method, path);
    expect([status, body.message]).toEqual([401, 'Not authorized']);
  });

  test.each(operations.filter(({ method }) => method !== 'GET'))('$name refuses JSON that is none', async (one) => {
    const { status } = await admin(one.method, one.path, '{', { 'content-type': 'application/json' });
    expect(status).toBe(400);
  });

  test.each(operations.filter(({ operation }) => operation.requestBody))(
    '$name refuses a body of 2 MiB',
    async (one) => {
      const { status } = await admin(one.method, one.path, { command: 'x'.repeat(2 ** 21) });
      expect(status).toBe(413);
    },
  );

  test.each(operations.filter(({ path }) => /^\/(job|folder|job_run|delivery|callback)_api/.test(path)))(
    '$name is not for root',
    async ({ method, path }) => {
      const { status, body } = await root(method, path);
      expect([status, body.message]).toEqual([403, 'The root user is not permitted to perform this action.']);
    },
  );

  test.each(operations.filter(({ method, path }) => method === 'GET' && !path.includes('/1')))(
    '$name takes a trailing slash and HEAD',
    async ({ method, path }) => {
      const [plain, slash] = [await admin(method, path), await admin(method, `${path}/`)];
      const head = await admin('HEAD', path);
      expect([slash.status, head.status, head.text]).toEqual([plain.status, plain.status, '']);
    },
  );
});
