import { createHmac, generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type ApiServer, type Caller, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

/* Only a token that this server gave out, for a user that is there, under the password of now, for as long as it said. */

const SECRET = 'a secret of the tests that is long enough for HS512 as well, which wants 64 bytes';
const LIFE_SECONDS = 3600;
let env: TestEnvironment;
let api: ApiServer;
let admin: Caller;
let adminToken: string;
beforeAll(async () => {
  env = await createEnvironment({ SECRET_KEY_BASE: SECRET, JWT_EXPIRY_SECONDS: String(LIFE_SECONDS) });
  await seedFirstStart(env.db, env.config.seed);
  api = await startApi(env);
  admin = await api.signIn('admin');
  adminToken = await tokenOf('admin');
});
afterAll(async () => {
  await api.process.end('SIGTERM');
  await env.close();
});

const tokenOf = async (username: string) => {
  const { body } = await api.call('POST', '/authenticate', { body: { username, password: 'password1234' } });
  return String(body.auth_token);
};
const get = (authorization: string, path = '/job_api') => api.call('GET', path, { headers: { authorization } });
const nowSeconds = () => Math.floor(Date.now() / 1000);
const claims = (more: Record<string, unknown> = {}) => ({ user_id: 2, version: 0, exp: nowSeconds() + 600, ...more });
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token made by hand: any header, any claims, signed or not. */
const forge = (header: unknown, payload: unknown, { key = SECRET, hash = 'sha256' } = {}) => {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
};
const HS256 = { alg: 'HS256' };
const sign = (payload: Record<string, unknown>, header = HS256) =>
  new SignJWT(payload).setProtectedHeader(header).sign(new TextEncoder().encode(SECRET));

test("a token that is made like one of the server's own is one: the forgeries below fail for their one fault", async () => {
  expect((await get(await sign(claims()))).status).toBe(200);
  expect((await get(forge(HS256, claims()))).status).toBe(200);
});

describe('a token is refused', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const unsigned = (alg: string) => `${encode({ alg })}.${encode(claims())}.`;

  test.each<[string, () => string | Promise<string>]>([
    ['without a signature', () => unsigned('none')],
    ['without a signature, spelt otherwise', () => unsigned('NoNe')],
    ['that says HS256 and has no signature', () => unsigned('HS256')],
    ['of no algorithm with a right signature', () => forge({ alg: 'none' }, claims())],
    ['without an algorithm', () => forge({ typ: 'JWT' }, claims())],
    ['of another key', () => forge(HS256, claims(), { key: `${SECRET}.` })],
    ['of an empty key', () => forge(HS256, claims(), { key: '' })],
    [
      'of the key of development',
      () => forge(HS256, claims(), { key: 'a secret for development that signs nothing of worth' }),
    ],
    ['of HS512 under our key', () => forge({ alg: 'HS512' }, claims(), { hash: 'sha512' })],
    ['of HS384 under our key', () => sign(claims(), { alg: 'HS384' })],
    ['that says HS256 and is signed as HS512', () => forge(HS256, claims(), { hash: 'sha512' })],
    ['of RS256', () => new SignJWT(claims()).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)],
    ['of HS256 under a public key', () => forge(HS256, claims(), { key: pem })],
    [
      'that brings its own key',
      () => forge({ ...HS256, jwk: { kty: 'oct', k: encode('mine') } }, claims(), { key: 'mine' }),
    ],
    [
      'that says where its key is',
      () => forge({ ...HS256, jku: 'http://127.0.0.1/', kid: '/dev/null' }, claims(), { key: '' }),
    ],
    ['with a critical header that nobody knows', () => forge({ ...HS256, crit: ['x'], x: 1 }, claims())],
    ['without exp', () => sign({ user_id: 2, version: 0 })],
    ['with an exp that is text', () => forge(HS256, claims({ exp: String(nowSeconds() + 600) }))],
    ['with an exp that is null', () => forge(HS256, claims({ exp: null }))],
    ['that has expired', () => forge(HS256, claims({ exp: nowSeconds() - 1 }))],
    ['that lives for years', () => forge(HS256, claims({ exp: nowSeconds() + 10 * 365 * 86_400 }))],
    ['that lives for ever', () => forge(HS256, `{"user_id":2,"version":0,"exp":1e300}`)],
    ['that is not valid yet', () => forge(HS256, claims({ nbf: nowSeconds() + 600 }))],
    ['without a user', () => forge(HS256, claims({ user_id: undefined }))],
    ['of a user by text', () => forge(HS256, claims({ user_id: '2' }))],
    ['of a list of users', () => forge(HS256, claims({ user_id: [2] }))],
    ['of nobody', () => forge(HS256, claims({ user_id: 4711 }))],
    ['of a number that is no id', () => forge(HS256, claims({ user_id: 1e300 }))],
    ['of a negative id', () => forge(HS256, claims({ user_id: -2 }))],
    ['of a part of a user', () => forge(HS256, claims({ user_id: 2.4 }))],
    ['with the user under another name', () => forge(HS256, { sub: 2, id: 2, version: 0, exp: nowSeconds() + 600 })],
    ['without a version', () => forge(HS256, claims({ version: undefined }))],
    ['of another version', () => forge(HS256, claims({ version: 1 }))],
    ['of the version before', () => forge(HS256, claims({ version: -1 }))],
    ['whose claims are a list', () => forge(HS256, [claims()])],
    ['whose claims are no JSON', () => forge(HS256, '{')],
    ['whose header is no JSON', () => forge('{', claims())],
    [
      "with another's claims under its signature",
      () =>
        adminToken
          .split('.')
          .with(1, encode(claims({ user_id: 1 })))
          .join('.'),
    ],
    ['with a part too many', () => `${adminToken}.x`],
    ['with a part too few', () => adminToken.split('.').slice(0, 2).join('.')],
    ['with an empty signature', () => `${adminToken.split('.').slice(0, 2).join('.')}.`],
    ['that is encrypted', () => `${encode({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`],
    ['that is long', () => 'x'.repeat(12_000)],
  ])('%s', async (_, make) => {
    const answer = await get(await make());
    expect([answer.status, answer.body.message]).toEqual([401, 'Not authorized']);
  });
});

describe('a token is looked for', () => {
  test.each([
    ['alone', (token: string) => token],
    ['as Bearer', (token: string) => `Bearer ${token}`],
    ['as bearer, after blanks', (token: string) => `  bearer \t ${token}  `],
    ['after any word', (token: string) => `Token ${token}`],
  ])('%s in Authorization', async (_, write) => {
    expect((await get(write(adminToken))).status).toBe(200);
  });

  test.each<[string, (token: string) => Record<string, string>]>([
    ['in a cookie', (token) => ({ cookie: `token=${token}; auth_token=${token}; Authorization=${token}` })],
    [
      'in another header',
      (token) => ({ 'x-auth-token': token, 'x-authorization': token, 'proxy-authorization': token }),
    ],
    ['before another word', (token) => ({ authorization: `Bearer ${token} x` })],
    ['in quotes', (token) => ({ authorization: `Token token="${token}"` })],
    ['as a password', (token) => ({ authorization: `Basic ${Buffer.from(`admin:${token}`).toString('base64')}` })],
    ['nowhere: a scheme alone', () => ({ authorization: 'Bearer' })],
    ['nowhere: blanks', () => ({ authorization: '   ' })],
  ])('not %s', async (_, headers) => {
    expect((await api.call('GET', '/job_api', { headers: headers(adminToken) })).status).toBe(401);
  });

  test('not in the query or in the body', async () => {
    for (const name of ['token', 'auth_token', 'access_token', 'authorization', 'Authorization', 'jwt']) {
      expect((await api.call('GET', `/job_api?${name}=${adminToken}`)).status).toBe(401);
      expect((await api.call('POST', '/job_api', { body: { [name]: adminToken } })).status).toBe(401);
    }
  });
});

describe('a token ends', () => {
  const PASSWORDS = { password: 'password1234', password_confirmation: 'password1234' };
  const newUser = async (username: string) => {
    const root = await api.signIn('root');
    const { id } = (await root('POST', '/user_api', { username, ...PASSWORDS })).body.object;
    return { root, path: `/user_api/${id}`, token: await tokenOf(username) };
  };

  test('with its user, also where another takes the name', async () => {
    const { root, path, token } = await newUser('brief');
    expect((await get(token)).status).toBe(200);
    await root('DELETE', path);
    expect((await get(token)).status).toBe(401);
    await newUser('brief');
    expect((await get(token)).status).toBe(401);
  });

  test('with the password, though it be the same again', async () => {
    const { root, path, token } = await newUser('changed');
    await root('PUT', path, PASSWORDS);
    expect((await get(token)).status).toBe(401);
    expect((await get(await tokenOf('changed'))).status).toBe(200);
  });

  test('when JWT_EXPIRY_SECONDS have passed', () => {
    const { exp } = JSON.parse(Buffer.from(adminToken.split('.')[1] ?? '', 'base64url').toString());
    expect(Math.abs(exp - nowSeconds() - LIFE_SECONDS)).toBeLessThan(120);
  });
});

test('what a token says of rights is not believed', async () => {
  const token = await sign(claims({ is_root: true, isRoot: true, role: 'root', admin: true }));
  expect((await get(token, '/audit_api')).status).toBe(401);
  expect((await admin('GET', '/user_api')).body.object).toHaveLength(1);
});
