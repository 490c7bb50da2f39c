import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFreePort } from '../../src/embedded/port.ts';
import { type PrivateRedis, startRedis } from '../../src/embedded/redis.ts';
import { type DatabaseConfig, loadConfig } from '../../src/platform/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { connectRedis } from '../../src/redis/connection.ts';
import { createDatabase, type Database, readNowMs } from '../../src/store/database.ts';
import { migrateDatabase } from '../../src/store/migrate.ts';
import { startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { type Process, startProcess, until } from '../support/processes.ts';
import { certificatesOf, TOOLS } from '../support/servers.ts';

/*
 * Connections to the database and to Redis that are encrypted, to a server that is known, with passwords. Both servers have
 * certificates for `localhost` by an authority that only the tests know, and refuse what comes in clear.
 */

const certificates = certificatesOf(process.env);
const REDIS_PASSWORD = 'a-password-of-redis-3f9a';
const DATABASE_PASSWORD = 'a-password-of-the-database-3f9a';
const ACCOUNT = 'bjr_encrypted';
/** 127.0.0.1 too, for the resolver; and no name that the certificate has. */
const ANOTHER_NAME = '127.1';

if (!certificates) console.log('Skipped: there is no openssl here, or the servers run in containers');

if (!certificates && process.env['CI'] === 'true')
  throw new Error('No certificates: is openssl missing, or the server in Docker?');

describe.skipIf(!certificates)('encrypted connections', () => {
  const ca = certificates?.ca ?? '';
  let env: TestEnvironment;
  let redis: PrivateRedis;
  let folder: string;
  let redisSettings: Record<string, string>;
  let databaseSettings: Record<string, string>;

  beforeAll(async () => {
    env = await createEnvironment();
    folder = mkdtempSync(join(tmpdir(), 'bjr-encryption-'));
    const port = await findFreePort();
    const { cert = '', key = '' } = certificates ?? {};
    redis = await startRedis({
      toolsDir: TOOLS,
      path: process.env['PATH'] ?? '',
      onProgress: console.log,
      directory: folder,
      args: [
        ...['--requirepass', REDIS_PASSWORD, '--tls-port', String(port), '--tls-auth-clients', 'no'],
        ...['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca],
      ],
    });
    redisSettings = {
      REDIS_HOST: 'localhost',
      REDIS_PORT: String(port),
      REDIS_PASSWORD,
      REDIS_TLS: 'true',
      REDIS_TLS_CA: ca,
    };
    await env.query(`CREATE USER '${ACCOUNT}'@'127.0.0.1' IDENTIFIED BY '${DATABASE_PASSWORD}' REQUIRE SSL`);
    await env.query(`GRANT ALL ON *.* TO '${ACCOUNT}'@'127.0.0.1'`);
    databaseSettings = {
      BJR_DATABASE_HOST: 'localhost',
      BJR_DATABASE_USERNAME: ACCOUNT,
      BJR_DATABASE_PASSWORD: DATABASE_PASSWORD,
      BJR_DATABASE_TLS: 'on',
      BJR_DATABASE_TLS_CA: ca,
    };
  });

  afterAll(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
    await env.query(`DROP USER '${ACCOUNT}'@'127.0.0.1'`);
    await env.close();
  });

  const redisAnswers = async (changes: Record<string, string>): Promise<boolean> => {
    const config = loadConfig({ ...env.env, ...redisSettings, ...changes });
    const client = connectRedis(config.redis, createLog({ level: 'silent', format: 'json' }));
    try {
      const isReady = await new Promise<boolean>((resolve) => {
        client.once('ready', () => resolve(true));
        client.once('error', () => resolve(false));
      });
      return isReady && (await client.ping()) === 'PONG';
    } finally {
      client.disconnect();
    }
  };

  test.each([
    ['with password and authority', {}, true],
    ['by its name for users too', { REDIS_USERNAME: 'default' }, true],
    ['not without the password', { REDIS_PASSWORD: '' }, false],
    ['not with another password', { REDIS_PASSWORD: 'guessed' }, false],
    ['not as a user that there is not', { REDIS_USERNAME: 'nobody' }, false],
    ['not where nobody known has signed its certificate', { REDIS_TLS_CA: '' }, false],
    ['not where its certificate is for another name', { REDIS_HOST: ANOTHER_NAME }, false],
    ['not in clear', { REDIS_TLS: '', REDIS_TLS_CA: '' }, false],
  ])('Redis is used %s', async (_, changes, isUsed) => {
    expect(await redisAnswers(changes)).toBe(isUsed);
  });

  const withDatabase = async <T>(
    changes: Record<string, string>,
    work: (db: Database, config: DatabaseConfig) => Promise<T>,
  ): Promise<T> => {
    const { database } = loadConfig({ ...env.env, ...databaseSettings, ...changes });
    const db = createDatabase(database);
    try {
      return await work(db, database);
    } finally {
      await db.close();
    }
  };

  test('the database is used encrypted, by every kind of connection', async () => {
    await withDatabase({}, async (db, config) => {
      await migrateDatabase(config);
      expect(await readNowMs(db)).toBeGreaterThan(0);
      const dedicated = await db.dedicate();
      const [row] = await dedicated.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", []);
      expect(row?.['Value']).toMatch(/^TLS_/);
      dedicated.close();
    });
  });

  test.each([
    ['where nobody known has signed its certificate', { BJR_DATABASE_TLS_CA: '' }, 'self-signed certificate'],
    ['where its certificate is for another name', { BJR_DATABASE_HOST: ANOTHER_NAME }, 'does not match'],
    ['in clear', { BJR_DATABASE_TLS: '', BJR_DATABASE_TLS_CA: '' }, 'Access denied'],
  ])('the database is not used %s', async (_, changes, reason) => {
    await withDatabase(changes, async (db, config) => {
      const told = (error: Error) => `${error.message} ${error.cause}`;
      expect(await readNowMs(db).then(String, told)).toContain(reason);
      expect(await db.dedicate().then(String, told)).toContain(reason);
      expect(await migrateDatabase(config).then(String, told)).toContain(reason);
    });
  });

  test('API and worker work over them, and say none of the passwords', async () => {
    const settings = { ...env.env, ...databaseSettings, ...redisSettings, LOG_LEVEL: 'trace' };
    const migrate = startProcess('migrate', settings);
    expect(await migrate.ended).toBe(0);
    const worker = startProcess('worker', settings);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    const api = await startApi({ ...env, env: settings });
    await until(async () => (await api.call('GET', '/health')).status === 200, 'a healthy server');
    const shut = await startApi({ ...env, env: { ...settings, REDIS_PASSWORD: `${REDIS_PASSWORD}-no` } });
    expect((await shut.call('GET', '/health')).text).toContain('redis');
    const processes = [migrate, worker, api.process, shut.process];
    await Promise.all(processes.map((each) => each.end('SIGTERM')));
    expect(processes.map(leaks)).toEqual([[], [], [], []]);
    expect(said(shut.process)).toContain('WRONGPASS');
  });
});

const said = ({ log, text }: Process) => [...log.map((line) => JSON.stringify(line)), ...text].join('\n');
const leaks = (process: Process) =>
  [REDIS_PASSWORD, DATABASE_PASSWORD].filter((password) => said(process).includes(password));
