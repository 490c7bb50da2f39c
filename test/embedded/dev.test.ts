import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../../src/embedded/port.ts';
import { isRunning, type Process, startProcess, until } from '../support/processes.ts';

const SERVERS = fileURLToPath(new URL('../../.bjr/servers', import.meta.url));
const BJR = fileURLToPath(new URL('../../bin/bjr', import.meta.url));
const environment = { PATH: process.env['PATH'] ?? '' };
let home: string;
let port: number;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'bjr-dev-'));
  mkdirSync(SERVERS, { recursive: true });
  symlinkSync(SERVERS, join(home, 'servers'));
  port = await findFreePort();
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Settings whose values need quotes. */
const AWKWARD = { JOB_PATH: `/a"b\\n'c#$d:/usr/bin:/bin` };

const startDev = async (args: string[] = []): Promise<Process> => {
  const dev = startProcess('dev', { ...environment, ...AWKWARD, BJR_HOME: home, PORT: String(port) }, args);
  const isReady = () => dev.text.some((line) => line.includes('BJR is ready'));
  let isOver = false;
  void dev.ended.then(() => {
    isOver = true;
  });
  // A slow machine takes a minute to make a database.
  await until(() => isReady() || isOver, 'bin/dev to be ready or over', 150_000);
  if (!isReady()) throw new Error(dev.text.join('\n'));
  return dev;
};
const pidOf = (server: string) => Number(readFileSync(join(home, `data/${server}/${server}.pid`), 'utf8'));
const post = async (path: string, body: unknown, token = '') => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: token },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};
const create = async (name: string) => {
  const { body } = await post('/authenticate', { username: 'admin', password: 'password1234' });
  return post('/job_api', { name, cron: '0 0 1 1 *', command: 'true' }, String(body['auth_token']));
};
const leftOvers = () => spawnSync('pgrep', ['-af', home], { encoding: 'utf8' }).stdout;

test('bin/dev serves from nothing, refuses a second one, and Ctrl-C leaves no process', async () => {
  const dev = await startDev();
  expect((await create('kept')).status).toBe(201);
  const second = startProcess('dev', { ...environment, BJR_HOME: home, PORT: '1' });
  expect(await second.ended).toBe(1);
  expect(second.text.join('\n')).toContain(
    `bin/dev is running here already: http://127.0.0.1:${port}, process ${dev.pid}`,
  );
  const settings = join(home, 'dev.env');
  expect(statSync(settings).mode & 0o777).toBe(0o600);
  const doctor = spawnSync(BJR, ['doctor', 'api'], { env: { ...environment, BJR_HOME: home }, encoding: 'utf8' });
  expect(doctor.stdout).toMatch(/^ok +migrations/m);
  expect(parseEnv(readFileSync(settings, 'utf8'))).toMatchObject(AWKWARD);
  expect(await dev.end('SIGINT')).toBe(0);
  expect(leftOvers()).toBe('');
  expect(existsSync(settings)).toBe(false);
});

test('settings that are wrong are told, all of them, before anything is started', async () => {
  const wrong = { PORT: '99999', WORKER_CONCURRENCY: 'abc' };
  const dev = startProcess('dev', { ...environment, BJR_HOME: home, ...wrong });
  expect(await dev.ended).toBe(1);
  expect(dev.text.join('\n')).toMatch(/PORT: .*\n.*WORKER_CONCURRENCY: /);
  expect(dev.text.join('\n')).not.toContain('Starting');
});

test('what an earlier one that was killed left running is stopped, and the data is still there', async () => {
  const dev = await startDev();
  const orphans = ['database', 'redis'].map(pidOf);
  await dev.end('SIGKILL');
  // Its file says nothing any more: the database is looked for where it is by default.
  const doctor = spawnSync(BJR, ['doctor', 'api'], { env: { ...environment, BJR_HOME: home }, encoding: 'utf8' });
  expect(doctor.stdout).toContain(':3306');
  expect(orphans.map(isRunning)).toEqual([true, true]);
  // Its API and worker notice by themselves.
  await until(
    () =>
      fetch(`http://127.0.0.1:${port}/version`).then(
        () => false,
        () => true,
      ),
    'the port to be free',
  );
  const next = await startDev();
  expect(orphans.map(isRunning)).toEqual([false, false]);
  expect((await create('kept')).status).toBe(422);
  await next.end('SIGTERM');
  expect(leftOvers()).toBe('');
});

test('--fresh starts over', async () => {
  const dev = await startDev(['--fresh']);
  expect((await create('kept')).status).toBe(201);
  await dev.end('SIGINT');
});

test('a port that is taken is said, with what to do', async () => {
  const dev = await startDev();
  const other = mkdtempSync(join(tmpdir(), 'bjr-dev-'));
  const second = startProcess('dev', { ...environment, BJR_HOME: other, PORT: String(port) });
  expect(await second.ended).toBe(1);
  expect(second.text.join('\n')).toContain(
    `Port ${port} is taken by another program. Stop that, or use another port: PORT=${port + 1}`,
  );
  rmSync(other, { recursive: true });
  await dev.end('SIGINT');
});
