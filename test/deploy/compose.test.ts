import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { findLinters } from '../support/deployTools.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const linters = await findLinters();

/** What .env.example leaves to be filled in. */
const SECRETS = readFileSync(join(ROOT, '.env.example'), 'utf8').match(/^[A-Z_]+(?==$)/gm) ?? [];

interface Service {
  cap_add?: string[];
  cap_drop?: string[];
  command?: string[];
  depends_on?: Record<string, { condition: string }>;
  environment?: Record<string, string | null>;
  networks: Record<string, unknown>;
  ports?: { host_ip: string; published: string }[];
  security_opt?: string[];
  stop_grace_period?: string;
  user?: string;
  volumes?: { source: string; target: string }[];
}

/** compose.yaml as compose itself resolves it, with these settings and nothing of the machine's own. */
function resolve(settings: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'bjr-compose-'));
  const file = join(folder, 'env');
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, readFileSync(join(ROOT, '.env.example'), 'utf8') + lines.join(''));
  const args = ['--project-directory', ROOT, '--env-file', file, 'config'];
  const { stdout, stderr, status } = spawnSync(linters?.compose ?? '', args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '' },
    cwd: ROOT,
  });
  rmSync(folder, { recursive: true });
  return { status, stderr, services: (parse(stdout)?.services ?? {}) as Record<string, Service> };
}

const filledIn = Object.fromEntries(SECRETS.map((name) => [name, `the value of ${name}`]));

describe.skipIf(!linters)('compose.yaml', () => {
  test('is what compose understands, and starts in order of health', () => {
    const { status, stderr, services } = resolve(filledIn);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(Object.keys(services).toSorted()).toEqual(['api', 'migrate', 'mysql', 'redis', 'worker-1', 'worker-2']);
    for (const name of ['api', 'worker-1', 'worker-2']) {
      expect(services[name]?.depends_on).toMatchObject({
        migrate: { condition: 'service_completed_successfully' },
        mysql: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
      });
    }
    expect(services['migrate']?.depends_on).toMatchObject({ mysql: { condition: 'service_healthy' } });
  });

  test.each(SECRETS)('does not start without %s', (name) => {
    const { status, stderr } = resolve({ ...filledIn, [name]: '' });
    expect(status).not.toBe(0);
    expect(stderr).toContain(`required variable ${name} is missing a value`);
  });

  test('gives each only what it needs', () => {
    const { services } = resolve(filledIn);
    for (const [name, { cap_drop, security_opt }] of Object.entries(services)) {
      expect({ name, cap_drop, security_opt }).toEqual({
        name,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
    }
    const more = Object.entries(services).filter(([, { cap_add, user }]) => cap_add || user?.startsWith('0'));
    expect(more.map(([name]) => name)).toEqual(['worker-1', 'worker-2']);
    // As docs/configuration.md lists them.
    expect(services['worker-1']?.cap_add).toEqual(['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID']);
    const reading = (secret: string) =>
      Object.keys(services).filter((name) =>
        Object.values(services[name]?.environment ?? {}).includes(filledIn[secret] ?? ''),
      );
    expect(reading('MYSQL_ROOT_PASSWORD')).toEqual(['mysql']);
    expect(reading('REDIS_PASSWORD')).not.toContain('mysql');
    expect(reading('INITIAL_ROOT_PASSWORD')).toEqual(['migrate']);
    expect(reading('SECRET_KEY_BASE')).toEqual(['api']);
    expect(Object.keys(services['mysql']?.networks ?? {})).toEqual(['data']);
    expect(Object.keys(services['redis']?.networks ?? {})).toEqual(['data']);
    const published = Object.values(services).flatMap(({ ports }) => ports ?? []);
    expect(published).toMatchObject([{ host_ip: '127.0.0.1', published: '4000' }]);
  });

  // Each has a meaning of its own to compose, to a shell or to Redis.
  test('takes every character of a password in single quotes, and Redis too', () => {
    const password = 'p$a #b"c\\d `e` $(f) &';
    const { services } = resolve({
      ...filledIn,
      REDIS_PASSWORD: `'${password}'`,
      INITIAL_ROOT_PASSWORD: `'${password}'`,
    });
    expect(services['migrate']?.environment?.['INITIAL_ROOT_PASSWORD']?.replaceAll('$$', '$')).toBe(password);
    const command = services['redis']?.command?.at(-1)?.replaceAll('$$', '$') ?? '';
    expect(command).toContain(' | redis-server -');
    const written = spawnSync('sh', ['-c', command.replace(/redis-server.*/, 'cat')], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', REDISCLI_AUTH: password },
    });
    expect(written.stdout).toBe('requirepass "p$a #b\\"c\\\\d `e` $(f) &"');
  });

  test('lets workers drain, each with a volume of its own', () => {
    const { services } = resolve({ ...filledIn, JOB_NICE: '5' });
    const workers = ['worker-1', 'worker-2'].map((name) => services[name]);
    for (const worker of workers) {
      const { DRAIN_TIMEOUT_SECONDS, JOB_NICE } = worker?.environment ?? {};
      expect(JOB_NICE).toBe('5');
      expect(seconds(worker?.stop_grace_period)).toBeGreaterThanOrEqual(Number(DRAIN_TIMEOUT_SECONDS) + 5 + 30);
    }
    expect(new Set(workers.map((worker) => worker?.volumes?.[0]?.source)).size).toBe(2);
  });
});

/** Of '1m35s'. */
function seconds(duration = ''): number {
  const [, minutes = '0', rest = '0'] = /^(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration) ?? [];
  return Number(minutes) * 60 + Number(rest);
}
