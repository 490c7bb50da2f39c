import { hashSync } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
let api: ApiServer;
beforeAll(async () => {
  env = await createEnvironment({ TRUSTED_PROXIES: '1' });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const RIGHT = 'password1234';
const tryFrom = (address: string, password: string, username = 'admin', server = api) =>
  server.call('POST', '/authenticate', { body: { username, password }, headers: { 'x-forwarded-for': address } });
const statuses = async (answers: Promise<{ status: number }>[]) =>
  (await Promise.all(answers)).map(({ status }) => status);
const count = (all: number[], status: number) => all.filter((one) => one === status).length;
const guesses = (address: string, n: number, server = api) =>
  Array.from({ length: n }, () => tryFrom(address, 'wrong', 'admin', server));

/** As under a seccomp filter without setpriority. */
const NO_PRIORITIES = `import os from 'node:os';
  import { syncBuiltinESMExports } from 'node:module';
  os.setPriority = () => { throw new Error('operation not permitted'); };
  syncBuiltinESMExports();`;

describe('signing in', () => {
  test('works where the system forbids to set priorities', async () => {
    const NODE_OPTIONS = `--import="data:text/javascript,${encodeURIComponent(NO_PRIORITIES)}"`;
    const caged = await startApi(env, { NODE_OPTIONS });
    expect((await tryFrom('10.0.0.200', RIGHT, 'admin', caged)).status).toBe(200);
    await caged.process.end('SIGTERM');
  });

  test('of thirty guesses at once ten are looked at; the right password has to wait as well', async () => {
    const all = await statuses(guesses('10.0.0.1', 30));
    expect([count(all, 401), count(all, 429)]).toEqual([10, 20]);
    const late = await tryFrom('10.0.0.1', RIGHT);
    const seconds = Number(late.headers.get('retry-after'));
    expect(late.status).toBe(429);
    expect(late.body).toEqual({
      user_id: null,
      auth_token: '',
      message: `Too many attempts. Try again in ${seconds} seconds.`,
      is_error: true,
      status_code: 429,
    });
    expect((await tryFrom('10.0.0.2', RIGHT)).status).toBe(200);
    expect((await tryFrom('10.0.0.1', RIGHT, 'root')).status).toBe(200);
  });

  test('does not count what succeeds', async () => {
    for (let n = 0; n < 12; n++) expect((await tryFrom('10.0.0.3', RIGHT)).status).toBe(200);
  });

  test('believes only the proxy that is trusted', async () => {
    const spoofed = Array.from({ length: 15 }, (_, n) => tryFrom(`1.2.3.${n}, 10.0.0.4`, 'wrong'));
    expect(count(await statuses(spoofed), 401)).toBe(10);
  });

  test('is limited without Redis too', async () => {
    const alone = await startApi(env, { REDIS_PORT: '1' });
    const all = await statuses(guesses('10.0.0.5', 15, alone));
    expect([count(all, 401), count(all, 429)]).toEqual([10, 5]);
    await alone.process.end('SIGTERM');
  });

  test('takes digests of other costs and kinds, and no more than 72 bytes', async () => {
    const digest = hashSync(RIGHT, 4).replace('$2b$', '$2a$');
    await env.query("UPDATE users SET password_digest = ? WHERE username = 'root'", [digest]);
    expect((await tryFrom('10.0.0.6', RIGHT, 'root')).status).toBe(200);
    const long = 'x'.repeat(72);
    await env.query("UPDATE users SET password_digest = ? WHERE username = 'root'", [hashSync(long, 4)]);
    expect((await tryFrom('10.0.0.6', long, 'root')).status).toBe(200);
    expect((await tryFrom('10.0.0.6', `${long}y`, 'root')).status).toBe(401);
    await env.query("UPDATE users SET password_digest = 'nonsense' WHERE username = 'root'");
    expect((await tryFrom('10.0.0.6', long, 'root')).status).toBe(401);
  });

  test('that the server has no time for is told to come back, and does not count', async () => {
    const busy = await startApi(env, { LOGIN_ATTEMPTS_MAX: '4' });
    const all = await Promise.all([
      ...Array.from({ length: 190 }, (_, n) => tryFrom(`10.1.0.${n}`, RIGHT, 'admin', busy)),
      ...Array.from({ length: 10 }, (_, n) => tryFrom(`10.1.1.${n}`, RIGHT, 'nobody', busy)),
    ]);
    const refused = all.findIndex(({ status }) => status === 429);
    expect(refused).toBeGreaterThanOrEqual(0);
    expect(refused).toBeLessThan(190);
    expect(Number(all[refused]?.headers.get('retry-after'))).toBeGreaterThan(0);
    for (let n = 0; n < 4; n++) {
      expect((await tryFrom(`10.1.0.${refused}`, 'wrong', 'admin', busy)).status).toBe(401);
    }
    expect((await tryFrom('10.1.2.1', 'wrong', 'nobody', busy)).status).toBe(401);
    await busy.process.end('SIGTERM');
  });

  test('is slowed for a name whoever guesses, and for an address whichever names it tries', async () => {
    const strict = await startApi(env, { LOGIN_ATTEMPTS_MAX: '1' });
    const many = Array.from({ length: 60 }, (_, n) => tryFrom(`10.2.0.${n}`, 'wrong', 'Victim', strict));
    expect(count(await statuses(many), 401)).toBe(50);
    expect((await tryFrom('10.2.1.1', 'wrong', 'victim', strict)).status).toBe(429);
    const names = Array.from({ length: 15 }, (_, n) => tryFrom('10.2.2.1', 'wrong', `name ${n}`, strict));
    expect(count(await statuses(names), 401)).toBe(10);
    await strict.process.end('SIGTERM');
  });

  test('holds up nobody else: passwords are computed beside the requests', async () => {
    const order: string[] = [];
    const signIns = Array.from({ length: 20 }, (_, n) =>
      tryFrom(`10.0.1.${n}`, 'wrong').then(() => order.push('signed in')),
    );
    const others = Array.from({ length: 5 }, () => api.call('GET', '/version').then(() => order.push('answered')));
    await Promise.all([...signIns, ...others]);
    expect(order.lastIndexOf('answered')).toBeLessThan(order.lastIndexOf('signed in') - 3);
  });
});
