import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../../src/embedded/port.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { connectApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { type Process, startNode } from '../support/processes.ts';
import { buildProgram } from '../support/program.ts';
import { startReceiver } from '../support/receiver.ts';

let env: TestEnvironment;
let folder: string;
let main: string;
const started: Process[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bjr-build-'));
  main = buildProgram(join(folder, 'program'));
  env = await createEnvironment({ RUNNERS: '1', CALLBACK_PRIVATE_TARGETS: 'on' });
  await seedFirstStart(env.db, env.config.seed);
});
afterAll(async () => {
  for (const process of started) await process.end('SIGKILL');
  await env.close();
  rmSync(folder, { recursive: true });
});

/** By a Node that refuses TypeScript, and would say so. */
function start(command: string, settings: Record<string, string> = {}): Process {
  const process = startNode([main, command], { ...env.env, NODE_OPTIONS: '--no-strip-types', ...settings });
  started.push(process);
  return process;
}

test('the program as it is deployed signs in, reads words, runs a command and calls back', async () => {
  expect(await start('migrate').ended).toBe(0);
  const port = await findFreePort();
  const [api, worker] = [start('api', { PORT: String(port) }), start('worker')];
  const admin = await (await connectApi(api, port)).signIn('admin');
  await worker.line(({ msg }) => msg === 'The worker is ready');
  const receiver = await startReceiver();
  const [{ id: userId }] = (await admin('GET', '/user_api')).body.object;
  const jobId = await addJob(env, {
    userId,
    command: 'echo built',
    cron: '0 0 1 1 *',
    successCallback: `${receiver.url}/ok`,
  });
  const [callback] = await receiver.count(1);
  await receiver.close();
  expect(JSON.parse(callback?.body ?? '')).toMatchObject({ job_id: jobId, stdout: 'built\n' });
  const since = (words: string) => admin('GET', `/job_api/${jobId}/runs?start_date=${words}`);
  expect((await since('yesterday')).body.object).toHaveLength(1);
  expect((await since('tomorrow')).body.object).toHaveLength(0);
  expect([await worker.end('SIGTERM'), await api.end('SIGTERM')]).toEqual([0, 0]);
  expect([...api.text, ...worker.text]).toEqual([]);
});
