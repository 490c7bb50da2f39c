import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createWakeUps } from '../../src/redis/wakeUps.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { type Network, startNetwork } from '../support/network.ts';
import { isRunning, type Process, startProcess, until } from '../support/processes.ts';

/** A lost worker is noticed in seconds, and a machine that stands still for two ends no command. */
const LEASE_SECONDS = 6;
const QUICK = { LEASE_SECONDS: String(LEASE_SECONDS), TICK_SECONDS: '1', KILL_GRACE_SECONDS: '1', RUNNERS: '1' };
/** It runs when it is told to and ends when it is told to. */
const NEVER = '0 0 1 1 *';

let env: TestEnvironment;
let folder: string;
let database: Network;
let redis: Network;
let processes: Process[];
beforeEach(async () => {
  env = await createEnvironment(QUICK);
  folder = mkdtempSync(join(tmpdir(), 'bjr-outage-'));
  database = await startNetwork(Number(env.env['BJR_DATABASE_PORT']));
  redis = await startNetwork(Number(env.env['REDIS_PORT']));
  processes = [];
});
afterEach(async () => {
  for (const process of processes) {
    process.child.kill('SIGCONT');
    await process.end('SIGKILL');
  }
  await Promise.all([database.close(), redis.close()]);
  await env.close();
  rmSync(folder, { recursive: true, force: true });
});

const spool = () => join(folder, 'state/spool');
const spooled = () => readdirSync(spool()).filter((name) => name.endsWith('.outcome.json'));
/** A worker behind the networks that the test can take away. */
const startWorker = async (settings: Record<string, string> = {}) => {
  const worker = startProcess('worker', {
    ...env.env,
    BJR_DATABASE_PORT: String(database.port),
    REDIS_PORT: String(redis.port),
    STATE_DIRECTORY: join(folder, 'state'),
    ...settings,
  });
  processes.push(worker);
  await worker.line((line) => line['msg'] === 'The worker is ready');
  return worker;
};
/** A worker beside it that nothing happens to, and that takes no runs. */
const startLeader = async () => {
  const { BJR_DATABASE_PORT, REDIS_PORT } = env.env;
  const leader = await startWorker({
    BJR_DATABASE_PORT: BJR_DATABASE_PORT ?? '',
    REDIS_PORT: REDIS_PORT ?? '',
    STATE_DIRECTORY: join(folder, 'other'),
  });
  return leader;
};
const outcomes = async (jobId: number) =>
  (await env.query('SELECT outcome FROM job_runs WHERE job_id = ? ORDER BY id', [jobId])).map((run) => run['outcome']);
const leaseOf = async (jobId: number) => {
  const [job] = await env.query(
    `SELECT state, lease_token, lease_expires_at AS until, lease_expires_at < UTC_TIMESTAMP(6) AS expired
     FROM jobs WHERE id = ?`,
    [jobId],
  );
  return job;
};
const read = (file: string) => {
  try {
    return readFileSync(join(folder, file), 'utf8');
  } catch {
    return '';
  }
};
/** Starts a command that tells its pid and goes on until the file `go` is there. Returns its job and its pid. */
const startWaiting = async (job: Parameters<typeof addJob>[1] = {}) => {
  const command = `echo $$ >> ${folder}/pids; until [ -e ${folder}/go ]; do sleep 0.1; done; echo done`;
  const jobId = await addJob(env, { command, cron: NEVER, ...job });
  await until(() => read('pids').endsWith('\n'), 'the command to start');
  return { jobId, pid: Number(read('pids')) };
};
const go = () => writeFileSync(join(folder, 'go'), '');

describe('while the database is away', () => {
  test.each([
    ['refuses', () => database.cut()],
    ['hangs', () => database.freeze()],
  ])('(it %s) a command goes on, its outcome waits on disk, and is recorded once', async (_, takeAway) => {
    await startWorker();
    const { jobId, pid } = await startWaiting();
    takeAway();
    await until(async () => (await leaseOf(jobId))?.['expired'] === 1, 'the lease to expire');
    expect(isRunning(pid)).toBe(true);
    go();
    await until(() => spooled().length === 1, 'the outcome on disk');
    database.heal();
    await until(async () => (await outcomes(jobId))[0] === 'succeeded', 'the record');
    await until(() => spooled().length === 0, 'the spool to be empty');
    expect(await outcomes(jobId)).toEqual(['succeeded']);
    const [output] = await env.query('SELECT stdout FROM run_outputs');
    expect(output).toEqual({ stdout: 'done\n' });
  });

  test('a worker that is killed leaves the outcome to the next, which waits for the database', async () => {
    // No leader beside them: after a lease it would call the run lost, and how long the next one takes to start nobody knows.
    const first = await startWorker();
    const { jobId } = await startWaiting();
    database.cut();
    go();
    await until(() => spooled().length === 1, 'the outcome on disk');
    await first.end('SIGKILL');
    const next = startProcess('worker', {
      ...env.env,
      BJR_DATABASE_PORT: String(database.port),
      STATE_DIRECTORY: join(folder, 'state'),
    });
    processes.push(next);
    await next.line((line) => String(line['msg']).startsWith('The database does not answer yet'));
    database.heal();
    await next.event('run_recorded');
    expect(await outcomes(jobId)).toEqual(['succeeded']);
    await until(() => spooled().length === 0, 'the spool to be empty');
  });

  test('a worker that is told to stop leaves the outcome on disk and goes', async () => {
    const first = await startWorker({ DRAIN_TIMEOUT_SECONDS: '1' });
    const { jobId } = await startWaiting();
    database.cut();
    go();
    expect(await first.end('SIGTERM')).toBe(0);
    expect(spooled()).toHaveLength(1);
    expect(await outcomes(jobId)).toEqual([null]);
    database.heal();
    await (await startWorker()).event('run_recorded');
    expect(await outcomes(jobId)).toEqual(['succeeded']);
  });

  test('an outcome that was left on disk is not taken for a run that never began', async () => {
    const worker = await startWorker({ DRAIN_TIMEOUT_SECONDS: '0', KILL_GRACE_SECONDS: '600' });
    const { jobId } = await startWaiting();
    // It goes on, so that the worker has to stay.
    const stubborn = await addJob(env, {
      command: `trap '' TERM; touch ${folder}/stubborn; while :; do sleep 0.1; done`,
      cron: NEVER,
    });
    await until(() => existsSync(join(folder, 'stubborn')), 'the other command to start');
    database.cut();
    await until(async () => (await leaseOf(jobId))?.['expired'] === 1, 'the lease to expire');
    worker.child.kill('SIGTERM');
    await worker.line((line) => line['jobId'] === jobId && String(line['msg']).includes('left on disk'));
    database.heal();
    // Two renewals: the first has come to its end.
    for (let times = 0; times < 2; times++) {
      const before = Number((await leaseOf(stubborn))?.['until']);
      await until(async () => Number((await leaseOf(stubborn))?.['until']) > before, 'a renewal', 60_000);
    }
    expect(await leaseOf(jobId)).toMatchObject({ state: 'leased', lease_token: 1 });
    await worker.end('SIGKILL');
    const next = await startWorker();
    await next.event('run_recorded');
    expect(await outcomes(jobId)).toEqual(['failed']);
  });

  test('a spool that cannot be written costs nothing as long as the worker lives', async () => {
    const worker = await startWorker();
    const { jobId } = await startWaiting();
    rmSync(spool(), { recursive: true });
    writeFileSync(spool(), 'in the way');
    database.cut();
    go();
    await worker.line((line) => line['msg'] === 'The outcome cannot be kept on disk');
    database.heal();
    await worker.event('run_recorded');
    expect(await outcomes(jobId)).toEqual(['succeeded']);
  });
});

test('an outcome on disk that was given up as lost meanwhile is refused', async () => {
  const first = await startWorker();
  const { jobId } = await startWaiting();
  database.cut();
  go();
  await until(() => spooled().length === 1, 'the outcome on disk');
  await first.end('SIGKILL');
  const leader = await startLeader();
  await leader.event('run_reaped');
  database.heal();
  await (await startWorker()).event('lease_lost');
  expect(await outcomes(jobId)).toEqual(['lost']);
  await until(() => spooled().length === 0, 'the spool to be empty');
});

test('a kept outcome that cannot be read is put aside, and the others are recorded', async () => {
  const first = await startWorker();
  const { jobId } = await startWaiting();
  database.cut();
  go();
  await until(() => spooled().length === 1, 'the outcome on disk');
  await first.end('SIGKILL');
  writeFileSync(join(spool(), '999-1.outcome.json'), '{"owner":');
  database.heal();
  await (await startWorker()).event('run_recorded');
  expect(await outcomes(jobId)).toEqual(['succeeded']);
  await until(() => spooled().length === 0, 'the spool to be empty');
  expect(readdirSync(spool())).toEqual(['999-1.outcome.json.unreadable']);
});

/** When the command was seen dead, the lease had not expired yet: nobody can have taken its job over before. */
const expectEndedBeforeTakeover = async (jobId: number, pid: number) => {
  await until(() => !isRunning(pid), 'the command to be ended');
  const [job] = await env.query(
    `SELECT r.outcome, j.lease_token AS token FROM jobs j JOIN job_runs r ON r.job_id = j.id WHERE j.id = ?`,
    [jobId],
  );
  expect(job).toEqual({ outcome: null, token: 1 });
};

describe('before its job can be taken over a command is ended', () => {
  test('by a worker that reaches neither database nor Redis', async () => {
    await startWorker();
    const { jobId, pid } = await startWaiting({ maxRetries: 1, retryDelaySeconds: 1 });
    const leader = await startLeader();
    database.freeze();
    redis.freeze();
    await expectEndedBeforeTakeover(jobId, pid);
    await leader.event('run_reaped');
    go();
    await until(async () => (await outcomes(jobId)).includes('succeeded'), 'the second try');
    expect(await outcomes(jobId)).toEqual(['lost', 'succeeded']);
  });

  test('by the runner of a coordinator that is frozen', async () => {
    const worker = await startWorker();
    const { jobId, pid } = await startWaiting();
    const leader = await startLeader();
    worker.child.kill('SIGSTOP');
    await expectEndedBeforeTakeover(jobId, pid);
    await leader.event('run_reaped');
    worker.child.kill('SIGCONT');
    await worker.event('lease_lost');
    expect(await outcomes(jobId)).toEqual(['lost']);
  });
});

describe('a living worker loses no run', () => {
  test('that is cut off from the database alone, for longer than its lease', async () => {
    const worker = await startWorker();
    const { jobId, pid } = await startWaiting();
    const leader = await startLeader();
    database.cut();
    await until(async () => {
      const [job] = await env.query(
        'SELECT lease_expires_at < UTC_TIMESTAMP(6) - INTERVAL ? SECOND AS expired FROM jobs WHERE id = ?',
        [LEASE_SECONDS, jobId],
      );
      return job?.['expired'] === 1;
    }, 'the lease to have expired a lease ago');
    expect(isRunning(pid)).toBe(true);
    database.heal();
    go();
    await worker.event('run_recorded');
    expect(await outcomes(jobId)).toEqual(['succeeded']);
    expect(leader.log.filter((line) => line['event'] === 'run_reaped')).toEqual([]);
  });

  test('when Redis forgets everything', async () => {
    const worker = await startWorker();
    const { jobId } = await startWaiting();
    await startLeader();
    database.cut();
    await until(async () => {
      const [job] = await env.query('SELECT lease_expires_at < UTC_TIMESTAMP(6) AS expired FROM jobs WHERE id = ?', [
        jobId,
      ]);
      return job?.['expired'] === 1;
    }, 'the lease to expire');
    const client = new Redis({ port: Number(env.env['REDIS_PORT']) });
    await client.del(await client.keys(`bjr:${env.env['BJR_DATABASE']}:*`));
    client.disconnect();
    database.heal();
    go();
    await worker.event('run_recorded');
    expect(await outcomes(jobId)).toEqual(['succeeded']);
  });
});

test('a worker that is told to stop takes nothing new, though the leader in it waits for the database', async () => {
  const worker = await startWorker();
  await worker.event('leader_elected');
  await env.query('LOCK TABLES watermarks WRITE');
  await until(async () => {
    const [rows] = await env.db.execute('SHOW PROCESSLIST');
    return JSON.stringify(rows).includes('metadata lock');
  }, 'the leader to wait');
  worker.child.kill('SIGTERM');
  await worker.line((line) => String(line['msg']).startsWith('Draining'));
  const id = await addJob(env, { cron: NEVER });
  const client = new Redis({ port: Number(env.env['REDIS_PORT']) });
  const key = `bjr:${env.env['BJR_DATABASE']}:worker:${worker.log.find((line) => line['workerId'])?.['workerId']}`;
  // Quiet at once; by the end of the leader's wait it would have looked for work several times.
  await until(async () => (await client.get(key))?.includes('"isQuiet":true') ?? true, 'it to be quiet', 60_000);
  client.disconnect();
  await env.query('UNLOCK TABLES');
  expect(await worker.ended).toBe(0);
  expect(await leaseOf(id)).toMatchObject({ state: 'due' });
});

test('a worker that cannot start a runner lives on, and claims nothing until it can', async () => {
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  const worker = await startWorker({ TMPDIR: temporary });
  const [runner] = execFileSync('ps', ['-o', 'pid=', '--ppid', String(worker.pid)], { encoding: 'utf8' }).split('\n');
  renameSync(temporary, `${temporary}.aside`);
  process.kill(Number(runner), 'SIGKILL');
  const failures = () => worker.log.filter((line) => line['reason'] === 'could not be started');
  await worker.line(() => failures().length === 1);
  const id = await addJob(env, { cron: NEVER });
  const client = new Redis({ port: Number(env.env['REDIS_PORT']) });
  await createWakeUps(client, env.config.redis.prefix).send('jobs');
  client.disconnect();
  await worker.line(() => failures().length === 4);
  expect(await leaseOf(id)).toMatchObject({ state: 'due', lease_token: 0 });
  renameSync(`${temporary}.aside`, temporary);
  await worker.event('run_recorded');
  expect(await outcomes(id)).toEqual(['succeeded']);
});

test('a lease that its worker never heard of is given back, and its occurrence runs', async () => {
  const worker = await startWorker();
  const id = await addJob(env, { cron: NEVER, state: 'idle', nextRun: new Date('2040-01-01T00:00:00Z') });
  const at = '2030-01-01 00:00:00';
  const workerId = worker.log.find((line) => line['workerId'])?.['workerId'];
  await env.query(
    `INSERT INTO job_runs (id, job_id, user_id, trigger_kind, scheduled_for, attempt, lease_token, worker_id, started_at)
     VALUES (500, ?, 1, 'manual', ?, 1, 1, ?, UTC_TIMESTAMP(6))`,
    [id, at, workerId],
  );
  await env.query(
    `UPDATE jobs SET state = 'leased', due_at = NULL, run_id = 500, lease_token = 1, lease_owner = ?,
       lease_expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE id = ?`,
    [workerId, id],
  );
  await worker.event('lease_released');
  await worker.event('run_recorded');
  expect(await env.query('SELECT scheduled_for = ? AS same, outcome, lease_token FROM job_runs', [at])).toEqual([
    { same: 1, outcome: 'succeeded', lease_token: 2 },
  ]);
});
