import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { outputBytesFitting } from '../../src/store/outputRoom.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { isRunning, type Process, startProcess, until } from '../support/processes.ts';

const QUICK = { TICK_SECONDS: '1', KILL_GRACE_SECONDS: '1', RUNNERS: '1' };
/** Where a worker is lost it is noticed in seconds. Nowhere else: on a machine that stands still for two, commands are ended. */
const LOST_SOON = { LEASE_SECONDS: '3' };

describe('a worker process', () => {
  let env: TestEnvironment;
  let folder: string;
  let processes: Process[];
  beforeEach(async () => {
    env = await createEnvironment(QUICK);
    folder = mkdtempSync(join(tmpdir(), 'bjr-evidence-'));
    processes = [];
  });
  afterEach(async () => {
    for (const process of processes) {
      process.child.kill('SIGCONT');
      await process.end('SIGKILL');
    }
    await env.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const startWorker = async (settings: Record<string, string> = {}) => {
    const worker = startProcess('worker', { ...env.env, ...settings });
    processes.push(worker);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    return worker;
  };
  const runs = (jobId: number) =>
    env.query<{ id: number; outcome: string | null; return_code: number; error_message: string }>(
      'SELECT id, outcome, return_code, error_message, worker_id FROM job_runs WHERE job_id = ? ORDER BY id',
      [jobId],
    );
  const job = async (id: number) => (await env.query('SELECT * FROM jobs WHERE id = ?', [id]))[0];
  /** The command says that it runs by writing its process id. */
  const evidence = (where: string, name: string) => join(where, name);
  const readPid = async (file: string) => {
    await until(() => readText(file).endsWith('\n'), `${file} to be written`);
    return Number(readText(file));
  };

  test('runs what is due and records it: outcome, output, statistics, the next occurrence', async () => {
    const id = await addJob(env, { command: 'echo out; echo err >&2; exit 3' });
    const worker = await startWorker();
    await worker.event('run_recorded');
    expect(await runs(id)).toMatchObject([{ outcome: 'failed', return_code: 3, error_message: '' }]);
    expect(await env.query('SELECT stdout, stderr FROM run_outputs')).toEqual([{ stdout: 'out\n', stderr: 'err\n' }]);
    expect(await job(id)).toMatchObject({
      success: 0,
      duration_count: 1,
      lag_count: 1,
      run_id: null,
      lease_owner: null,
    });
  });

  test('keeps no more of an output than the database takes at once', async () => {
    const worker = await startWorker({ OUTPUT_LIMIT_BYTES: '16777216' });
    expect(worker.log.find(({ outputBytesMax }) => outputBytesMax)).toMatchObject({
      outputBytesMax: await outputBytesFitting(env.db),
    });
  });

  test('starts an occurrence when it comes, seconds included, and keeps the beat', async () => {
    const next = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3000);
    const id = await addJob(env, { cron: '* * * * * *', nextRun: next });
    await startWorker();
    await until(async () => (await runs(id)).length >= 5, 'five occurrences');
    const [row] = await env.query(
      `SELECT COUNT(*) AS runs, COUNT(DISTINCT scheduled_for) AS occurrences, MIN(started_at >= scheduled_for) AS isNeverEarly,
              TIMESTAMPDIFF(SECOND, ?, MAX(scheduled_for)) + 1 AS passed,
              (SELECT COALESCE(SUM(occurrence_count), 0) FROM misfires WHERE last_at < MAX(scheduled_for)) AS missed
       FROM job_runs WHERE outcome IS NOT NULL`,
      [next],
    );
    // A machine that is too slow for the beat may miss a second, and then says so; none is doubled, early or forgotten.
    expect(row).toMatchObject({ occurrences: row?.['runs'], isNeverEarly: 1 });
    expect(Number(row?.['runs']) + Number(row?.['missed'])).toBe(Number(row?.['passed']));
  });

  test('killed with -9 during a run: the run is lost, its command is gone, and the job runs again elsewhere', async () => {
    const file = evidence(folder, 'pid');
    const id = await addJob(env, { command: `echo $$ > ${file}; exec sleep 300`, cron: '0 0 1 1 *' });
    const first = await startWorker(LOST_SOON);
    const pid = await readPid(file);
    await first.end('SIGKILL');
    await until(() => !isRunning(pid), 'the command to be ended by its runner');
    const second = await startWorker(LOST_SOON);
    await second.event('run_reaped');
    expect(await runs(id)).toMatchObject([{ outcome: 'lost', return_code: -1 }]);
    expect(await job(id)).toMatchObject({ state: 'idle', lease_owner: null, success: 0 });
    await env.query(
      "UPDATE jobs SET command = 'true', state = 'due', due_at = UTC_TIMESTAMP(6), trigger_kind = 'manual'",
    );
    await second.event('run_recorded');
    expect((await runs(id)).map((run) => run.outcome)).toEqual(['lost', 'succeeded']);
  });

  /** Jobs that are overdue, in this order: what stands behind quick commands is claimed ahead of its slot. */
  const addInOrder = async (commands: string[]) => {
    const ids: number[] = [];
    for (const [at, command] of commands.entries()) {
      const nextRun = new Date(Date.now() - 60_000 + at * 100);
      ids.push(await addJob(env, { command, cron: '0 0 1 1 *', nextRun }));
    }
    return ids;
  };
  const QUICK_ONES = ['true', 'true', 'true', 'true'];

  test('what was claimed ahead, and waits for a command that takes long, is given back and runs once', async () => {
    // A machine that is slow may claim nothing ahead of one of them.
    const ids = await addInOrder(Array.from({ length: 4 }, () => [...QUICK_ONES, 'sleep 1.5']).flat());
    const first = await startWorker({ WORKER_CONCURRENCY: '1' });
    const { jobId } = await first.event('lease_released');
    expect(ids).toContain(jobId);
    await startWorker();
    await until(async () => {
      const [row] = await env.query('SELECT COUNT(*) AS n FROM job_runs WHERE outcome IS NOT NULL');
      return Number(row?.['n']) === ids.length;
    }, 'all of them to have run');
    expect(await env.query("SELECT id FROM job_runs WHERE outcome <> 'succeeded'")).toEqual([]);
  });

  test('told to stop, it gives back what it has claimed ahead', async () => {
    const [file, hold] = [evidence(folder, 'pid'), evidence(folder, 'hold')];
    writeFileSync(hold, '');
    const held = `echo $$ > ${file}; while [ -e ${hold} ]; do sleep 0.1; done`;
    const ids = await addInOrder([...QUICK_ONES, held, 'true']);
    const worker = await startWorker({ WORKER_CONCURRENCY: '1' });
    await readPid(file);
    worker.child.kill('SIGTERM');
    await worker.line((line) => String(line['msg']).startsWith('Draining'));
    rmSync(hold);
    expect(await worker.ended).toBe(0);
    expect(await runs(ids[5] ?? 0)).toEqual([]);
    expect(await job(ids[5] ?? 0)).toMatchObject({ state: 'due', scheduled_for: null, lease_owner: null });
  });

  test('told to stop, it lets its command finish, takes nothing new, and leaves the rest to another', async () => {
    const file = evidence(folder, 'pid');
    const id = await addJob(env, { command: `echo $$ > ${file}; sleep 4; echo done`, cron: '0 0 1 1 *' });
    const first = await startWorker();
    await readPid(file);
    const second = await startWorker();
    first.child.kill('SIGTERM');
    await first.line((line) => String(line['msg']).startsWith('Draining'));
    const other = await addJob(env);
    expect(await first.ended).toBe(0);
    expect(await runs(id)).toMatchObject([{ outcome: 'succeeded' }]);
    await second.event('run_recorded');
    const owner = first.log.find((line) => line['workerId'])?.['workerId'];
    expect((await env.query('SELECT worker_id FROM job_runs WHERE job_id = ?', [other]))[0]?.['worker_id']).not.toBe(
      owner,
    );
  });

  test('at the end of a drain it ends the whole tree and records that', async () => {
    const file = evidence(folder, 'pid');
    const command = `trap '' TERM; sleep 300 & echo $! > ${file}; wait; sleep 300`;
    const id = await addJob(env, { command, cron: '0 0 1 1 *' });
    const worker = await startWorker({ DRAIN_TIMEOUT_SECONDS: '1' });
    const child = await readPid(file);
    expect(await worker.end('SIGTERM')).toBe(0);
    expect(isRunning(child)).toBe(false);
    const [run] = await runs(id);
    expect(run).toMatchObject({ outcome: 'failed', return_code: 137 });
    expect(run?.error_message).toContain('The worker stopped before the command had finished');
  });

  test('frozen for longer than its lease: the late outcome is refused and the run has one terminal state', async () => {
    const file = evidence(folder, 'pid');
    const id = await addJob(env, { command: `echo $$ > ${file}; exec sleep 300`, cron: '0 0 1 1 *' });
    const frozen = await startWorker(LOST_SOON);
    const pid = await readPid(file);
    frozen.child.kill('SIGSTOP');
    const other = await startWorker(LOST_SOON);
    await other.event('run_reaped');
    frozen.child.kill('SIGCONT');
    await frozen.event('lease_lost');
    expect(isRunning(pid)).toBe(false);
    expect(await runs(id)).toMatchObject([{ outcome: 'lost' }]);
    expect(await job(id)).toMatchObject({ state: 'idle', duration_count: 0 });
  });

  test('without Redis it elects by the database, marks, runs and finds what was asked for by hand', async () => {
    const idle = await addJob(env, { state: 'idle' });
    const worker = await startWorker({ REDIS_PORT: '1' });
    expect(await worker.event('leader_elected')).toMatchObject({ by: 'database' });
    await until(async () => (await runs(idle))[0]?.outcome === 'succeeded', 'the marked job to run');
    await env.query("UPDATE jobs SET state = 'due', due_at = UTC_TIMESTAMP(6), trigger_kind = 'manual'");
    await until(async () => (await runs(idle)).length === 2, 'the run by hand');
  });

  test('occurrences that pass during a run are misfires, but for the latest, which runs afterwards', async () => {
    const id = await addJob(env, { command: 'sleep 3.2', cron: '* * * * * *', nextRun: new Date() });
    await startWorker();
    await until(async () => (await runs(id)).filter((run) => run.outcome).length >= 2, 'two runs');
    const [count] = await env.query(
      `SELECT SUM(reason = 'overlap') AS overlaps, SUM(occurrence_count) AS n FROM misfires
       WHERE first_at > (SELECT MIN(scheduled_for) FROM job_runs)`,
    );
    const [span] = await env.query(
      `SELECT TIMESTAMPDIFF(SECOND, MIN(scheduled_for), MAX(scheduled_for)) + 1 - COUNT(*) AS missed FROM job_runs`,
    );
    // A claim that comes a second late, on a busy machine, passes over one more: that is no overlap.
    expect(Number(count?.['n'])).toBeGreaterThanOrEqual(Number(span?.['missed']));
    expect(Number(count?.['overlaps'])).toBeGreaterThanOrEqual(2);
    expect(Number(span?.['missed'])).toBeGreaterThan(0);
    const overlaps = await env.query(
      `SELECT a.id FROM job_runs a JOIN job_runs b ON a.job_id = b.job_id AND a.id < b.id AND b.started_at < a.finished_at`,
    );
    expect(overlaps).toEqual([]);
  });

  test('three workers, two of them leading by force, 100 jobs each second: one run an occurrence, all recorded', async () => {
    const start = new Date(Math.ceil(Date.now() / 1000) * 1000 + 5000);
    for (let n = 0; n < 100; n++) {
      await addJob(env, {
        cron: '* * * * * *',
        nextRun: start,
        state: 'idle',
        misfirePolicy: 'catch_up',
        catchUpMax: 1000,
      });
    }
    await Promise.all([
      startWorker({ LEADER_ELECTION: 'off', RUNNERS: '2' }),
      startWorker({ LEADER_ELECTION: 'off', RUNNERS: '2' }),
      startWorker({ RUNNERS: '2' }),
    ]);
    await until(async () => {
      const [row] = await env.query('SELECT COUNT(*) AS n FROM job_runs WHERE outcome IS NOT NULL');
      return Number(row?.['n']) >= 300;
    }, '300 runs');
    await env.query('UPDATE jobs SET enabled = 0');
    await Promise.all(processes.map((worker) => worker.end('SIGTERM')));
    const [row] = await env.query(
      `SELECT COUNT(*) - COUNT(DISTINCT job_id, scheduled_for) AS doubled, SUM(outcome IS NULL OR outcome <> 'succeeded') AS bad
       FROM job_runs`,
    );
    expect(row).toMatchObject({ doubled: 0 });
    expect(Number(row?.['bad'])).toBe(0);
    const gaps = await env.query(
      `SELECT job_id FROM job_runs GROUP BY job_id
       HAVING COUNT(*) <> TIMESTAMPDIFF(SECOND, MIN(scheduled_for), MAX(scheduled_for)) + 1`,
    );
    expect(gaps).toEqual([]);
  });
});

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
