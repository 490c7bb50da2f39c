import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimRuns } from '../../src/store/claimRuns.ts';
import { createDatabaseLeaderLock } from '../../src/store/leaderLock.ts';
import { reapLost } from '../../src/store/reapLost.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { until } from '../support/processes.ts';

const HOLDER = fileURLToPath(new URL('../fixtures/holder.ts', import.meta.url));
const workerId = '00000000-0000-4000-8000-000000000001';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

test('a process that is frozen in the middle of a transaction keeps neither its jobs nor the lead', async () => {
  const jobId = await addJob(env);
  const { runs } = await claimRuns(env.db, { workerId, limit: 1, leaseMs: 1, misfireGraceMs: 60_000 });
  const [run] = runs;
  if (!run) throw new Error('Nothing was due');
  const holder = spawn(process.execPath, [HOLDER, String(jobId)], {
    env: env.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(holder.stdout, 'data');
    holder.kill('SIGSTOP');
    const lease = { jobId, leaseToken: run.leaseToken, workerId };
    const lead = createDatabaseLeaderLock(env.db, env.config.database.name);
    expect(await reapLost(env.db, lease)).toBeNull();
    expect(await lead.hold()).toBe(false);
    await until(async () => (await reapLost(env.db, lease)) !== null, 'the run to be lost');
    await until(() => lead.hold(), 'the lead');
    lead.release();
  } finally {
    holder.kill('SIGKILL');
  }
  expect(await env.query('SELECT outcome FROM job_runs')).toEqual([{ outcome: 'lost' }]);
});
