import { afterEach, beforeEach, expect, test } from 'vitest';
import { startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { childrenOf } from '../support/processes.ts';

let env: TestEnvironment;
beforeEach(async () => {
  env = await createEnvironment();
});
afterEach(async () => {
  await env.close();
});

test('a stop while all processes of the API are dead starts none anew, and ends', async () => {
  const { process: supervisor } = await startApi(env, { WEB_CONCURRENCY: '2' });
  const processes = childrenOf(supervisor.pid);
  expect(processes).toHaveLength(2);
  for (const pid of processes) process.kill(pid, 'SIGKILL');
  const told = () => supervisor.log.filter(({ msg }) => String(msg).startsWith('An API process died')).length === 2;
  await supervisor.line(told);
  expect(await supervisor.end('SIGTERM')).toBe(0);
});
