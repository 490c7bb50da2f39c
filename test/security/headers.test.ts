import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/platform/config.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { type Answer, type ApiServer, startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

const ORIGIN = 'https://app.example.com';

let env: TestEnvironment;
let api: ApiServer;
let open: ApiServer;
let token: string;
/** Two that serve a page each; the first one's origin is let in. */
let known: Server;
let stranger: Server;
const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
beforeAll(async () => {
  env = await createEnvironment();
  await seedFirstStart(env.db, env.config.seed);
  const servePage = async () => {
    const server = createServer((_, response) =>
      response.setHeader('content-type', 'text/html').end('<p>elsewhere</p>'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  };
  [known, stranger] = await Promise.all([servePage(), servePage()]);
  [api, open] = await Promise.all([
    startApi(env),
    startApi(env, { CORS_ORIGINS: `${ORIGIN}, http://localhost:5173,${originOf(known)}`, TRUSTED_PROXIES: '1' }),
  ]);
  const { body } = await api.call('POST', '/authenticate', { body: { username: 'admin', password: 'password1234' } });
  token = body.auth_token;
});
afterAll(async () => {
  await Promise.all([api, open].map((server) => server.process.end('SIGTERM')));
  for (const server of [known, stranger]) server.close();
  await env.close();
});

/** One of each kind of answer. */
const answers: [string, string, string, Record<string, string>?][] = [
  ['what is public', 'GET', '/version'],
  ['a list', 'GET', '/job_api', { authorization: 'TOKEN' }],
  ['no token', 'GET', '/job_api'],
  ['nothing there', 'GET', '/nowhere'],
  ['not found', 'GET', '/job_api/4711', { authorization: 'TOKEN' }],
  ['a wrong zone', 'GET', '/version?timezone=Nowhere'],
  ['a body that is none', 'POST', '/authenticate', { 'content-type': 'application/xml' }],
  ['a wrong password', 'POST', '/authenticate'],
  ['health', 'GET', '/health'],
  ['the description', 'GET', '/openapi.json'],
  ['the description as YAML', 'GET', '/openapi.yaml'],
  ['its page', 'GET', '/api-docs'],
  ['a file of its page', 'GET', '/api-docs/start.js'],
  ['a redirect', 'GET', '/'],
];
const ask = (
  server: ApiServer,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer> => {
  const { authorization, ...others } = headers;
  const body = method === 'POST' ? 'x' : undefined;
  return server.call(method, path, { headers: { ...others, ...(authorization && { authorization: token }) }, body });
};

describe('every answer', () => {
  test.each(answers)('%s', async (_, method, path, headers) => {
    const given = Object.fromEntries((await ask(api, method, path, headers)).headers);
    expect(given).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
    });
    const policy = given['content-security-policy'] ?? '';
    expect(policy).toMatch(/^default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'/);
    expect(policy.includes('script-src')).toBe(path.startsWith('/api-docs'));
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    expect(given['cache-control']).toBe(path.endsWith('.js') ? 'public, max-age=86400' : 'no-store');
    // Nothing says what serves it, and nothing lets other origins in.
    for (const name of ['server', 'x-powered-by', 'access-control-allow-origin', 'strict-transport-security']) {
      expect(given).not.toHaveProperty(name);
    }
    expect(JSON.stringify(given)).not.toMatch(/node|hono|\d+\.\d+\.\d+(?!\.\d)/i);
  });

  test('says to come by TLS alone where a trusted proxy says that there is TLS', async () => {
    const hsts = async (server: ApiServer, proto: string) =>
      (await server.call('GET', '/version', { headers: { 'x-forwarded-proto': proto } })).headers.get(
        'strict-transport-security',
      );
    expect(await hsts(open, 'https')).toBe('max-age=31536000');
    expect(await hsts(open, 'http')).toBeNull();
    expect(await hsts(api, 'https')).toBeNull();
  });
});

describe('a page of another origin', () => {
  const preflight = (server: ApiServer, origin: string, method = 'PUT') =>
    server.call('OPTIONS', '/job_api/1', {
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type',
      },
    });

  test('is not let in unless configured', async () => {
    const { status, headers } = await preflight(api, ORIGIN);
    expect([status, headers.get('access-control-allow-origin')]).toEqual([404, null]);
    const answer = await ask(api, 'GET', '/job_api', { authorization: 'TOKEN', origin: ORIGIN });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  test.each([
    'https://app.example.com.evil.example',
    'https://evil.example',
    'http://app.example.com',
    'https://APP.example.com',
    `${ORIGIN}:8443`,
    `${ORIGIN}/`,
    `x${ORIGIN}`,
    'null',
    '',
  ])('is not let in where it is another: %s', async (origin) => {
    for (const answer of [await preflight(open, origin), await ask(open, 'GET', '/version', { origin })]) {
      for (const name of answer.headers.keys()) expect(name).not.toContain('access-control');
      expect(answer.headers.get('vary')).toContain('Origin');
    }
  });

  test.each([ORIGIN, 'http://localhost:5173'])('asks first, and may then: %s', async (origin) => {
    const { status, headers } = await preflight(open, origin);
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('access-control-allow-methods')).toBe('GET,HEAD,POST,PUT,PATCH,DELETE');
    expect(headers.get('access-control-allow-headers')).toContain('Authorization');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  test.each(answers)('may read %s, where it is let in', async (_, method, path, headers = {}) => {
    const { headers: given } = await ask(open, method, path, { ...headers, origin: ORIGIN });
    expect(given.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(given.get('vary')).toContain('Origin');
    for (const name of ['Total', 'Per-Page', 'Link', 'ETag', 'Retry-After']) {
      expect(given.get('access-control-expose-headers')?.split(',')).toContain(name);
    }
  });

  test('is named exactly', () => {
    const originsOf = (list: string) => loadConfig({ CORS_ORIGINS: list }).api.corsOrigins;
    expect(originsOf(` ${ORIGIN} ,http://localhost:5173,`)).toEqual([ORIGIN, 'http://localhost:5173']);
    expect(originsOf('')).toEqual([]);
    for (const wrong of [
      '*',
      'app.example.com',
      `${ORIGIN}/`,
      `${ORIGIN}:443`,
      'https://*.example.com',
      'null',
      'file:///x',
      'https://a b',
    ]) {
      expect(() => originsOf(wrong)).toThrow(ConfigError);
    }
  });
});
