import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { takeLock } from '../../src/embedded/lockFile.ts';
import { isPortFree, keepPort } from '../../src/embedded/port.ts';
import { findProgram, howToInstall } from '../../src/embedded/programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'bjr-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a lock is held by one, who is named to the next, and is free again after its release', () => {
  const path = join(folder, 'one/lock');
  const first = takeLock(path, 'the first');
  expect(first.isHeld).toBe(true);
  expect(takeLock(path)).toEqual({ isHeld: false, holder: { pid: process.pid, note: 'the first' } });
  if (first.isHeld) first.release();
  expect(existsSync(path)).toBe(false);
  expect(takeLock(path).isHeld).toBe(true);
});

test.each([
  ['a process that died', () => JSON.stringify({ pid: spawnSync('true').pid, note: '' })],
  ['nobody, half-written', () => '{"pid":'],
])('the lock of %s counts as free', (_, content) => {
  const path = join(folder, `stale-${Math.random()}`);
  writeFileSync(path, content());
  expect(takeLock(path).isHeld).toBe(true);
});

test('of many processes at once one takes a lock', async () => {
  const path = join(folder, 'race');
  const script = `
    import { takeLock } from './src/embedded/lockFile.ts';
    process.stdout.write(takeLock('${path}').isHeld ? 'held' : 'refused');
    process.stdin.resume();`;
  const args = ['--input-type=module', '--eval', script];
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  // Nobody ends, and so frees what it holds, before all have tried.
  const said = await Promise.all(children.map(async ({ stdout }) => String((await once(stdout, 'data'))[0])));
  const ended = children.map((child) => once(child, 'exit'));
  for (const { stdin } of children) stdin.end();
  await Promise.all(ended);
  expect(said.toSorted()).toEqual(['held', ...Array.from({ length: 5 }, () => 'refused')]);
});

test('a port is kept while it is free', async () => {
  const file = join(folder, 'port');
  const port = await keepPort(file);
  expect(await keepPort(file)).toBe(port);
  const server = createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  expect(await isPortFree(port)).toBe(false);
  expect(await keepPort(file)).not.toBe(port);
  await new Promise((resolve) => server.close(resolve));
});

test('a server that is nowhere is not found, and the message says what to install', () => {
  expect(findProgram('redis', { toolsDir: folder, path: '/nowhere' })).toSatisfy(
    (found) => found === null || !String(found).startsWith(folder),
  );
  expect(howToInstall(['mysql', 'mariadb'])).toMatch(/no mysql or mariadb server[\s\S]*BJR_DATABASE_HOST/);
});
