import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/platform/config.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { createDatabase, readNowMs } from '../../src/store/database.ts';
import { findDatabaseClient } from '../support/deployTools.ts';
import { createEnvironment, databaseKind, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { certificatesOf } from '../support/servers.ts';

/*
 * bin/backup and bin/restore, with the client programs of the server's own kind, by an account that must be encrypted and whose
 * password shells and files of options might misread.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const client = await findDatabaseClient(databaseKind);
const certificates = certificatesOf(process.env);
const ACCOUNT = 'bjr_backup';
const PASSWORD = `a "password" with 'quotes', $dollars, # and \\`;

describe.skipIf(!client || !certificates)('a copy of the database', () => {
  let env: TestEnvironment;
  let copy: TestEnvironment;
  let folder: string;
  let file: string;

  beforeAll(async () => {
    env = await createEnvironment();
    copy = await createEnvironment();
    folder = mkdtempSync(join(tmpdir(), 'bjr-backup-'));
    file = join(folder, 'bjr.sql.gz');
    await env.query(`CREATE USER '${ACCOUNT}'@'%' IDENTIFIED BY ? REQUIRE SSL`, [PASSWORD]);
    for (const { env: settings } of [env, copy])
      await env.query(`GRANT ALL ON \`${settings['BJR_DATABASE']}\`.* TO '${ACCOUNT}'@'%'`);
    await seedFirstStart(env.db, env.config.seed);
    for (const name of ['Straße 東京 🚂', "it's", 'x\\y'])
      await addJob(env, { name, command: `echo '${name}'\n`, state: 'idle' });
  });

  afterAll(async () => {
    await env.query(`DROP USER '${ACCOUNT}'@'%'`);
    await env.close();
    await copy.close();
    rmSync(folder, { recursive: true });
  });

  const settingsOf = ({ env: settings }: TestEnvironment) => ({
    ...settings,
    PATH: `${client ?? ''}:${settings['PATH']}`,
    BJR_DATABASE_HOST: 'localhost',
    BJR_DATABASE_USERNAME: ACCOUNT,
    BJR_DATABASE_PASSWORD: PASSWORD,
    BJR_DATABASE_TLS: 'on',
    BJR_DATABASE_TLS_CA: certificates?.ca ?? '',
  });
  const run = (program: string, of: TestEnvironment, args: string[], changes: Record<string, string> = {}) =>
    spawnSync(join(ROOT, program), args, { encoding: 'utf8', env: { ...settingsOf(of), ...changes } });
  const jobsOf = ({ query }: TestEnvironment) => query('SELECT id, name, command, next_run FROM jobs ORDER BY id');

  test('is for its owner only, and of a server that is known', () => {
    const { status, stderr } = run('bin/backup', env, [file]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['bjr.sql.gz']);
  });

  test.each([
    ['a certificate for another name', { BJR_DATABASE_HOST: '127.0.0.1' }],
    ['one that nobody known has signed', { BJR_DATABASE_TLS_CA: '' }],
    ['another password', { BJR_DATABASE_PASSWORD: 'guessed' }],
  ])('is not made over %s', (_, changes) => {
    const other = join(folder, 'other.sql.gz');
    const { status } = run('bin/backup', env, [other], changes);
    expect(status).not.toBe(0);
    expect(readdirSync(folder)).not.toContain('other.sql.gz');
    rmSync(`${other}.part`, { force: true });
  });

  test('is restored over nothing that is there or in use, and not where it was cut off', async () => {
    expect(run('bin/restore', copy, [file])).toMatchObject({ status: 1, stderr: expect.stringContaining('--replace') });
    // An account without further rights sees its own connections: those of BJR's, whose account it is.
    const pool = createDatabase(loadConfig(settingsOf(copy)).database);
    await readNowMs(pool);
    const used = run('bin/restore', copy, [file, '--replace']);
    await pool.close();
    expect(used).toMatchObject({ status: 1, stderr: expect.stringMatching(/^\d+ connections .* are open/m) });
    const part = join(folder, 'part.sql.gz');
    writeFileSync(part, gzipSync(gunzipSync(readFileSync(file)).subarray(0, -100)));
    const cut = run('bin/restore', copy, [part, '--replace']);
    expect(cut).toMatchObject({ status: 1, stderr: expect.stringContaining('no complete copy') });
  });

  test('is the same where it is restored, and gives out no id again', async () => {
    const { status, stdout, stderr } = run('bin/restore', copy, [file, '--replace']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('Restored.');
    expect(await jobsOf(copy)).toEqual(await jobsOf(env));
    const users = 'SELECT username, password_digest FROM users ORDER BY id';
    expect(await copy.query(users)).toEqual(await env.query(users));
    expect(await addJob(copy)).toBeGreaterThan(10_000);
  });
});
