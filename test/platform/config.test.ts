import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/platform/config.ts';
import { aboutSetting, environment, SECTIONS } from '../../src/platform/settings.ts';
import { createTokens } from '../../src/services/tokens.ts';

const nobody = { userId: 1, tokenVersion: 0 };

const problemsOf = (env: Record<string, string>, command?: string): string[] => {
  try {
    loadConfig(env, command);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

describe('settings', () => {
  test('have defaults, and an empty one counts as not set', () => {
    const config = loadConfig({ PORT: '', REDIS_SIDEKIQ_DB: '3' });
    expect(config).toMatchObject({
      api: { port: 4000, host: '127.0.0.1' },
      redis: { db: 3 },
      database: { name: 'bjr_development' },
    });
    expect(loadConfig({ REDIS_DB: '1', REDIS_SIDEKIQ_DB: '3' }).redis.db).toBe(1);
  });

  test('that are wrong are told all at once, by name', () => {
    const problems = problemsOf({
      NODE_ENV: 'production',
      PORT: '99999',
      LEASE_SECONDS: 'soon',
      BJR_DATABASE: 'a`b',
      SECRET_KEY_BASE: 'short',
      INITIAL_ROOT_PASSWORD: 'password1234',
    });
    for (const name of ['PORT', 'LEASE_SECONDS', 'BJR_DATABASE', 'SECRET_KEY_BASE', 'INITIAL_ROOT_PASSWORD']) {
      expect(problems.filter((problem) => problem.startsWith(`${name}:`))).toHaveLength(1);
    }
    expect(problems).toHaveLength(5);
  });

  test('in production need a secret, and passwords of the first start that are not the default', async () => {
    const without = { NODE_ENV: 'production' };
    expect(problemsOf(without)).toEqual([expect.stringMatching(/^SECRET_KEY_BASE: is not set/)]);
    expect(problemsOf(without, 'api')).toHaveLength(1);
    for (const command of ['worker', 'migrate', 'after-restore', 'import-legacy'])
      expect(problemsOf(without, command)).toEqual([]);
    await expect(createTokens(loadConfig(without, 'worker').api.secret, 60).issue(nobody)).rejects.toThrow(
      'Zero-length key',
    );
    const config = loadConfig({ NODE_ENV: 'production', SECRET_KEY_BASE: 'x'.repeat(32) });
    expect(config.seed).toEqual({ rootPassword: null, adminPassword: null });
    expect(
      problemsOf({ NODE_ENV: 'production', SECRET_KEY_BASE: 'x'.repeat(32), INITIAL_ADMIN_PASSWORD: 'password1234' }),
    ).toHaveLength(1);
  });

  test('of encryption need a certificate that can be read, a name to compare it with, and each other', () => {
    expect(problemsOf({ REDIS_TLS: 'true', REDIS_TLS_CA: '/nowhere/ca.pem' })).toEqual([
      expect.stringMatching(/^REDIS_TLS_CA: cannot be read: ENOENT/),
    ]);
    expect(problemsOf({ REDIS_TLS: 'on', REDIS_TLS_CA: 'package.json' })).toEqual([
      'REDIS_TLS_CA: holds no certificate (PEM)',
    ]);
    expect(problemsOf({ REDIS_TLS: 'yes' })).toEqual([expect.stringMatching(/^REDIS_TLS: /)]);
    expect(problemsOf({ BJR_DATABASE_TLS: 'on' })).toEqual([
      expect.stringMatching(/^BJR_DATABASE_TLS: needs a .* name/),
    ]);
    expect(problemsOf({ BJR_DATABASE_TLS: 'on', BJR_DATABASE_HOST: 'db.example.com' })).toEqual([]);
    expect(problemsOf({ REDIS_USERNAME: 'bjr' })).toEqual(['REDIS_USERNAME: needs a REDIS_PASSWORD']);
    for (const name of ['BJR_DATABASE_TLS', 'REDIS_TLS'])
      expect(problemsOf({ [`${name}_CA`]: '/etc/ssl/ca.pem' }).join()).toContain(`of no use without ${name}=on`);
  });

  test('are all told of, each in one section', () => {
    const told = Object.values(SECTIONS).flatMap((settings) => Object.keys(settings));
    expect(told.toSorted()).toEqual(Object.keys(environment.shape).toSorted());
    for (const schema of Object.values(environment.shape)) expect(aboutSetting(schema).does).not.toBe('');
  });

  test('that are secrets may not be the well-known default in production', () => {
    const production = { NODE_ENV: 'production', SECRET_KEY_BASE: 'x'.repeat(32) };
    const passwords = Object.keys(environment.shape).filter((name) => name.endsWith('_PASSWORD'));
    expect(passwords).toContain('BJR_DATABASE_PASSWORD');
    for (const name of passwords) {
      expect(problemsOf({ ...production, [name]: 'password1234' })).toEqual([expect.stringContaining(`${name}: `)]);
    }
  });
});
