import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { hasLivingMember } from '../../src/runner/groupMembers.ts';
import { isRunning, until } from '../support/processes.ts';

test('a group whose last members are dead but not collected has no living one', async () => {
  // Job control gives the child a group of its own. It ends once its parent is no shell any more, which would collect it.
  const childWaits = 'until [[ $(</proc/$$/comm) == sleep ]]; do :; done';
  const parent = spawn('/bin/bash', ['-c', `set -m; (${childWaits}) & echo $!; exec sleep 300`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const group = Number(line);
  await until(() => !isRunning(group), 'the child to end');
  expect(process.kill(-group, 0)).toBe(true);
  expect(hasLivingMember(group)).toBe(false);
  parent.kill('SIGKILL');
});

test('a group with a process that runs has one', () => {
  const child = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
  expect(hasLivingMember(child.pid ?? 0)).toBe(true);
  child.kill('SIGKILL');
});
