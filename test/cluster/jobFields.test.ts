import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { type Process, startProcess, until } from '../support/processes.ts';

const YEARLY = { cron: '0 0 1 1 *', nextRun: new Date(Date.now() - 1000) };

describe('what a worker makes of a job', () => {
  let env: TestEnvironment;
  let worker: Process;
  beforeEach(async () => {
    // A lost run is noticed in seconds, and a machine that stands still for two ends no command.
    env = await createEnvironment({ TICK_SECONDS: '1', KILL_GRACE_SECONDS: '1', RUNNERS: '1', LEASE_SECONDS: '6' });
    worker = startProcess('worker', env.env);
    await worker.line((line) => line['msg'] === 'The worker is ready');
  });
  afterEach(async () => {
    await worker.end('SIGKILL');
    await env.close();
  });

  const runs = (jobId: number) =>
    env.query<{ outcome: string | null; return_code: number; error_message: string; attempt: number }>(
      `SELECT outcome, return_code, error_message, attempt, trigger_kind, scheduled_for, started_at, stdout
       FROM job_runs LEFT JOIN run_outputs ON run_id = job_runs.id WHERE job_id = ? ORDER BY job_runs.id`,
      [jobId],
    );
  const finished = async (jobId: number, count: number) => {
    await until(
      async () => (await runs(jobId)).filter(({ outcome }) => outcome !== null).length >= count,
      `${count} finished runs`,
    );
    return runs(jobId);
  };

  test('its variables and its directory, but for the names that are a run’s own', async () => {
    const id = await addJob(env, {
      ...YEARLY,
      env: { GREETING: 'hello', TZ: 'Asia/Kolkata', BJR_RUN_ID: '99' },
      workingDirectory: '/usr',
      command: 'echo $GREETING; date +%Z; [ $BJR_RUN_ID != 99 ] && pwd',
    });
    expect(await finished(id, 1)).toMatchObject([{ outcome: 'succeeded', stdout: 'hello\nIST\n/usr\n' }]);
  });

  test('its directory is missing: the run says so', async () => {
    const id = await addJob(env, { ...YEARLY, workingDirectory: '/no/such/place' });
    const [run] = await finished(id, 1);
    expect(run).toMatchObject({ outcome: 'failed', return_code: 126 });
    expect(run?.error_message).toContain('/no/such/place');
  });

  test('its time limit, for the whole tree', async () => {
    const id = await addJob(env, {
      ...YEARLY,
      timeoutSeconds: 1,
      command: 'trap "" TERM; sleep 100 & sleep 100; wait',
    });
    const [run] = await finished(id, 1);
    expect(run).toMatchObject({ outcome: 'timed_out', return_code: 137 });
  });

  test('its retries: as many as it wants, of the same occurrence, until one succeeds', async () => {
    const [hopeless, lucky, manual] = [
      await addJob(env, { ...YEARLY, maxRetries: 2, retryDelaySeconds: 1, command: 'exit 7' }),
      await addJob(env, { ...YEARLY, maxRetries: 5, retryDelaySeconds: 0, command: 'exit $((BJR_ATTEMPT < 3))' }),
      await addJob(env, {
        ...YEARLY,
        trigger: 'manual',
        enabled: false,
        maxRetries: 1,
        retryDelaySeconds: 0,
        command: '! :',
      }),
    ];
    const scheduled = { scheduled_for: expect.any(Date) };
    expect(await finished(hopeless, 3)).toMatchObject([
      { ...scheduled, attempt: 1, trigger_kind: 'schedule', outcome: 'failed' },
      { ...scheduled, attempt: 2, trigger_kind: 'retry', outcome: 'failed' },
      { ...scheduled, attempt: 3, trigger_kind: 'retry', outcome: 'failed' },
    ]);
    expect((await finished(lucky, 3)).map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'succeeded']);
    expect(await finished(manual, 2)).toMatchObject([
      { attempt: 1, trigger_kind: 'manual', scheduled_for: null },
      { attempt: 2, trigger_kind: 'retry', scheduled_for: null },
    ]);
    const left = await env.query('SELECT state, trigger_kind, attempt, scheduled_for, lag_count FROM jobs ORDER BY id');
    const idle = { state: 'idle', trigger_kind: 'schedule', attempt: 1, scheduled_for: null };
    expect(left).toEqual([
      { ...idle, lag_count: 1 },
      { ...idle, lag_count: 1 },
      { ...idle, lag_count: 0 },
    ]);
  });

  test('a run that was lost is tried again', async () => {
    const id = await addJob(env, {
      ...YEARLY,
      maxRetries: 1,
      retryDelaySeconds: 0,
      command: '[ $BJR_ATTEMPT = 2 ] || sleep 100',
    });
    await until(async () => (await runs(id)).length === 1, 'the first run');
    await worker.end('SIGKILL');
    worker = startProcess('worker', env.env);
    expect(await finished(id, 2)).toMatchObject([
      { outcome: 'lost', attempt: 1 },
      { outcome: 'succeeded', attempt: 2 },
    ]);
  });

  test('the bounds of its schedule', async () => {
    const from = Math.ceil(Date.now() / 1000) * 1000 + 1000;
    const id = await addJob(env, {
      cron: '* * * * * *',
      nextRun: new Date(from),
      endsAt: new Date(from + 2000),
      command: ':',
    });
    await until(
      async () => (await env.query('SELECT next_run FROM jobs'))[0]?.['next_run'] === null,
      'the last occurrence',
    );
    const all = await finished(id, 1);
    const missed = await env.query('SELECT COALESCE(SUM(occurrence_count), 0) AS n FROM misfires');
    expect(all.length + Number(missed[0]?.['n'])).toBe(3);
  });
});
