import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkDatabase, judgeSession, judgeVersion } from '../../src/doctor/database.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { checkRedis } from '../../src/doctor/redis.ts';
import { loadConfig } from '../../src/platform/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { connectRedis } from '../../src/redis/connection.ts';
import { inspectRedis } from '../../src/redis/inspect.ts';
import { createDatabase } from '../../src/store/database.ts';
import { createEnvironment, databaseKind, type TestEnvironment } from '../support/environment.ts';
import { startProcess } from '../support/processes.ts';
import { startThrowawayRedis } from '../support/servers.ts';

let env: TestEnvironment;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bjr-doctor-'));
  env = await createEnvironment({ STATE_DIRECTORY: join(folder, 'state') });
});
afterAll(async () => {
  await env.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The lines that it prints, and its exit code. */
const examine = async (settings: Record<string, string> = {}, args: string[] = []) => {
  const doctor = startProcess('doctor', { ...env.env, ...settings }, args);
  return { code: await doctor.ended, text: doctor.text.join('\n') };
};
const levelOf = (findings: Finding[], what: string) => findings.find((finding) => finding.what === what)?.level;

describe('bjr doctor', () => {
  test('has a line for everything, none of them a failure, where all is well', async () => {
    const { code, text } = await examine();
    expect(text).not.toMatch(/^failure/m);
    expect(text).toMatch(/^0 failures/m);
    for (const what of ['settings', 'secret', 'callbacks', 'election', 'database', 'database version', 'isolation'])
      expect(text).toMatch(new RegExp(`^(ok|warning) +${what} `, 'm'));
    for (const what of [
      'time zone',
      'sql mode',
      'max_allowed_packet',
      'max_connections',
      'database clock',
      'migrations',
    ])
      expect(text).toMatch(new RegExp(`^ok +${what} `, 'm'));
    for (const what of [
      'indexes',
      'redis',
      'redis eviction',
      'redis clock',
      'state directory',
      'open files',
      'processes',
    ])
      expect(text).toMatch(new RegExp(`^ok +${what} `, 'm'));
    expect(code).toBe(0);
  });

  test('names every setting that cannot be used', async () => {
    const { code, text } = await examine({ PORT: '99999', LEASE_SECONDS: 'soon', NODE_ENV: 'production' });
    expect(code).toBe(1);
    for (const name of ['PORT', 'LEASE_SECONDS', 'SECRET_KEY_BASE'])
      expect(text).toMatch(new RegExp(`^failure +settings +${name}: `, 'm'));
  });

  test('says what a node lacks, and how to mend it', async () => {
    writeFileSync(join(folder, 'a-file'), '');
    const { code, text } = await examine({
      BJR_DATABASE_PORT: '1',
      REDIS_PORT: '1',
      JOB_USER: 'no-such-user-here',
      STATE_DIRECTORY: join(folder, 'a-file', 'state'),
      JOB_DIRECTORY: join(folder, 'nowhere'),
      WORKER_CONCURRENCY: '1000',
      JOB_PROCESSES_MAX: '4194304',
      LEADER_ELECTION: 'off',
      CALLBACK_PRIVATE_TARGETS: 'on',
    });
    expect(code).toBe(1);
    for (const what of ['database', 'redis', 'job user', 'state directory', 'job directory'])
      expect(text).toMatch(new RegExp(`^failure +${what} .*\\. Mend: `, 'm'));
    for (const what of ['production', 'secret', 'election', 'callbacks'])
      expect(text).toMatch(new RegExp(`^warning +${what} .*\\. Mend: `, 'm'));
  });

  test('leaves out for the API what only workers need, and knows no other part', async () => {
    const { code, text } = await examine({ JOB_USER: 'no-such-user-here' }, ['api']);
    expect(text).not.toContain('job user');
    expect(code).toBe(0);
    expect((await examine({}, ['scheduler'])).code).toBe(2);
  });

  const limited = (limits: string, settings: Record<string, string>) =>
    spawnSync('bash', ['-c', `${limits}; exec "$0" src/main.ts doctor worker`, process.execPath], {
      env: { ...env.env, ...settings },
      encoding: 'utf8',
    });

  test('counts open files, and compares the limits of commands with its own', () => {
    const { status, stdout } = limited('ulimit -n 300; ulimit -f 1000000', { JOB_FILE_SIZE_LIMIT_BYTES: '4096000000' });
    expect(stdout).toMatch(/^failure +open files +300; 10 slots can need 336\. Mend: /m);
    expect(stdout).toMatch(/^failure +JOB_FILE_SIZE_LIMIT_BYTES .*every run would fail/m);
    expect(status).toBe(1);
  });

  test.runIf(process.getuid?.() === 0)('tries whether it may become the job user', () => {
    const ask = (prefix: string) => limited(`set -- ${prefix}`, { JOB_USER: 'nobody', STATE_DIRECTORY: folder }).stdout;
    expect(ask('')).toMatch(/^(ok|warning) +job user +.*nobody/m);
    const { stdout } = spawnSync(
      'setpriv',
      ['--bounding-set', '-setuid,-setgid', process.execPath, 'src/main.ts', 'doctor', 'worker'],
      { env: { ...env.env, JOB_USER: 'nobody' }, encoding: 'utf8' },
    );
    expect(stdout).toMatch(/^failure +job user +this process may not become 'nobody': EPERM/m);
  });
});

describe('the database', () => {
  const check = (db = env.db, more: Partial<Parameters<typeof checkDatabase>[0]> = {}) =>
    checkDatabase({
      db,
      config: env.config.database,
      connections: 10,
      outputBytesMax: 1_048_576,
      wallClock: Date.now,
      ...more,
    });

  test('that refuses the account, or has no such database, is told apart', async () => {
    for (const [change, mend] of [
      [{ password: 'wrong' }, 'BJR_DATABASE_PASSWORD'],
      [{ name: 'bjr_nowhere' }, 'bjr migrate'],
    ] as const) {
      const db = createDatabase({ ...env.config.database, ...change });
      const findings = await check(db);
      expect(findings).toMatchObject([{ level: 'failure', what: 'database' }]);
      expect(findings[0]?.mend).toContain(mend);
      await db.close();
    }
  });

  test('of an old version is a failure', () => {
    const levels = [
      '5.7.44-log',
      '8.0.46',
      '8.4.3',
      '9.5.0',
      '10.5.29-MariaDB-1',
      '5.5.5-10.6.1-MariaDB',
      '11.8.2-MariaDB',
    ];
    expect(levels.map((version) => judgeVersion(version).level)).toEqual([
      'failure',
      'ok',
      'ok',
      'ok',
      'failure',
      'ok',
      'ok',
    ]);
  });

  test('that is not strict itself has sessions that are', async () => {
    const [former] = await env.query<{ mode: string }>('SELECT @@GLOBAL.sql_mode AS mode');
    await env.query("SET GLOBAL sql_mode = ''");
    const db = createDatabase(env.config.database);
    try {
      expect(levelOf(await check(db), 'sql mode')).toBe('ok');
    } finally {
      await db.close();
      await env.query('SET GLOBAL sql_mode = ?', [former?.mode]);
    }
  });

  test('in whose sessions the mode, the zone or the isolation is another is a failure', async () => {
    const name = databaseKind === 'mariadb' ? 'tx_isolation' : 'transaction_isolation';
    for (const [what, statement] of [
      ['sql mode', "SET SESSION sql_mode = ''"],
      ['sql mode', "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'"],
      ['time zone', "SET SESSION time_zone = '+01:00'"],
      ['isolation', `SET SESSION ${name} = 'REPEATABLE-READ'`],
    ] as const) {
      const db = createDatabase({ ...env.config.database, connectionsMax: 1 });
      expect(levelOf(await check(db), what)).toBe('ok');
      await db.execute(sql.raw(statement));
      expect([statement, levelOf(await check(db), what)]).toEqual([statement, 'failure']);
      await db.close();
    }
    const logged = new Map([
      ['transaction_isolation', 'READ-COMMITTED'],
      ['log_bin', 'ON'],
      ['binlog_format', 'STATEMENT'],
    ]);
    expect(levelOf(judgeSession(logged), 'isolation')).toBe('failure');
  });

  test('with too few connections, too small packets or another clock is told', async () => {
    expect(levelOf(await check(env.db, { connections: 300 }), 'max_connections')).toBe('warning');
    expect(levelOf(await check(env.db, { connections: 1000 }), 'max_connections')).toBe('failure');
    expect(levelOf(await check(env.db, { outputBytesMax: 1_000_000_000 }), 'max_allowed_packet')).toBe('warning');
    const findings = await check(env.db, { wallClock: () => Date.now() - 3_600_000 });
    expect(findings).toContainEqual(expect.objectContaining({ level: 'warning', what: 'database clock' }));
    expect(findings.find(({ what }) => what === 'database clock')?.says).toMatch(
      /^this node is 3\d\d\d\.?\d* s behind it$/,
    );
  });

  test('without an index is a failure, whose mend is the statement that makes it', async () => {
    await env.query('DROP INDEX jobs_claim ON jobs');
    await env.query('DROP INDEX users_username ON users');
    await env.query('CREATE INDEX users_username ON users (username_key)');
    const missing = (await check()).filter(({ what }) => what === 'indexes');
    expect(missing).toMatchObject([
      { level: 'failure', says: 'users has no users_username over username_key' },
      {
        level: 'failure',
        says: 'jobs has no jobs_claim over state, due_at, id',
        mend: expect.stringContaining('(state, due_at, id);'),
      },
    ]);
    await env.query('DROP INDEX users_username ON users');
    for (const { mend } of missing) await env.query(mend ?? '');
    expect(levelOf(await check(), 'indexes')).toBe('ok');
  });

  test('without a schema, or with an old one, is a failure', async () => {
    await env.query('RENAME TABLE __drizzle_migrations TO put_aside');
    expect(await check()).toContainEqual(
      expect.objectContaining({ level: 'failure', what: 'migrations', mend: 'bjr migrate' }),
    );
    await env.query('RENAME TABLE put_aside TO __drizzle_migrations');
    expect(levelOf(await check(), 'migrations')).toBe('ok');
  });
});

describe('Redis', () => {
  test('that may drop what it holds is told, by how bad that is', async () => {
    const server = await startThrowawayRedis();
    const config = loadConfig({ ...env.env, REDIS_PORT: String(server.port) }).redis;
    const admin = new Redis(server.port);
    const redis = connectRedis(config, createLog({ level: 'silent', format: 'json' }));
    const check = (wallClock = Date.now) => checkRedis({ redis, config, wallClock });
    const eviction = async (policy: string, limit: string) => {
      await admin.config('SET', 'maxmemory-policy', policy);
      await admin.config('SET', 'maxmemory', limit);
      return levelOf(await check(), 'redis eviction');
    };
    expect(await eviction('noeviction', '64mb')).toBe('ok');
    expect(await eviction('allkeys-lru', '64mb')).toBe('failure');
    expect(await eviction('allkeys-lru', '0')).toBe('warning');
    expect(await eviction('volatile-ttl', '64mb')).toBe('warning');
    await admin.config('SET', 'maxmemory', String(Math.round((await inspectRedis(redis)).usedBytes * 1.05)));
    expect(levelOf(await check(), 'redis memory')).toBe('warning');
    expect(levelOf(await check(() => Date.now() + 60_000), 'redis clock')).toBe('warning');
    await admin.config('SET', 'requirepass', 'a password');
    redis.disconnect();
    await admin.quit();
    const refused = connectRedis(config, createLog({ level: 'silent', format: 'json' }));
    expect(levelOf(await checkRedis({ redis: refused, config, wallClock: Date.now }), 'redis')).toBe('failure');
    refused.disconnect();
    await server.stop();
  });
});
