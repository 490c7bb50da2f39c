import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { requestCancel } from '../../src/store/cancelRun.ts';
import { type ClaimedRun, claimRuns } from '../../src/store/claimRuns.ts';
import { markDue } from '../../src/store/markDue.ts';
import { outputBytesFitting } from '../../src/store/outputRoom.ts';
import { purgeDeleted } from '../../src/store/purgeDeleted.ts';
import { findUnrenewedLeases, reapLost } from '../../src/store/reapLost.ts';
import { type RunOutcome, recordOutcome } from '../../src/store/recordOutcome.ts';
import { releaseLease } from '../../src/store/releaseLease.ts';
import { renewLeases } from '../../src/store/renewLeases.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob, minuteAgo } from '../support/jobs.ts';

const workerId = '00000000-0000-4000-8000-000000000001';
const OUTPUT = {
  stdout: 'o',
  stderr: '',
  stdoutBytes: 1,
  stderrBytes: 0,
  stdoutTruncated: false,
  stderrTruncated: false,
};

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
beforeEach(async () => {
  for (const table of ['jobs', 'job_runs', 'run_outputs', 'misfires', 'purges'])
    await env.query('DELETE FROM ??', [table]);
});
afterAll(() => env.close());

const claimOne = async (): Promise<ClaimedRun> => {
  const { runs } = await claimRuns(env.db, { workerId, limit: 1, leaseMs: 30_000, misfireGraceMs: 60_000 });
  const [run] = runs;
  if (!run) throw new Error('Nothing was due');
  return run;
};
const outcomeOf = (run: ClaimedRun, end: Partial<RunOutcome> = {}): RunOutcome => ({
  runId: run.runId,
  jobId: run.jobId,
  leaseToken: run.leaseToken,
  scheduledFor: run.scheduledFor,
  attempt: run.attempt,
  outcome: 'succeeded',
  returnCode: 0,
  errorMessage: '',
  startedAt: minuteAgo(),
  finishedAt: new Date(minuteAgo().getTime() + 1500),
  output: OUTPUT,
  ...end,
});
const jobRow = async (id: number) => (await env.query('SELECT * FROM jobs WHERE id = ?', [id]))[0];
const runRow = async (id: number) => (await env.query('SELECT * FROM job_runs WHERE id = ?', [id]))[0];
const expire = (id: number) =>
  env.query('UPDATE jobs SET lease_expires_at = UTC_TIMESTAMP(6) - INTERVAL 1 SECOND WHERE id = ?', [id]);

describe('an outcome', () => {
  test('of the most output that fits is taken, and one beyond it is what the worker must not make', async () => {
    await addJob(env);
    const run = await claimOne();
    const text = '\uFFFD'.repeat(await outputBytesFitting(env.db));
    const written = (stderr: string) => outcomeOf(run, { output: { ...OUTPUT, stdout: text, stderr } });
    await expect(recordOutcome(env.db, written(text + text))).rejects.toThrow(/packet|ECONNRESET|closed|EPIPE/i);
    expect(await recordOutcome(env.db, written(text))).toMatchObject({ result: 'recorded' });
  });

  test('of a run that its user wanted ended is not tried again, though the command was quicker', async () => {
    const id = await addJob(env, { maxRetries: 3, retryDelaySeconds: 1, cron: '0 0 1 1 *' });
    const run = await claimOne();
    await env.query('UPDATE job_runs SET cancel_requested_at = UTC_TIMESTAMP(6) WHERE id = ?', [run.runId]);
    await recordOutcome(env.db, outcomeOf(run, { outcome: 'failed', returnCode: 1 }));
    expect(await jobRow(id)).toMatchObject({ state: 'idle', trigger_kind: 'schedule', attempt: 1 });
  });

  test('ends the run, gives the lease up and keeps the statistics', async () => {
    const id = await addJob(env);
    const run = await claimOne();
    expect(await recordOutcome(env.db, outcomeOf(run))).toMatchObject({ result: 'recorded', misfire: null });
    expect(await runRow(run.runId)).toMatchObject({
      outcome: 'succeeded',
      return_code: 0,
      finished_at: expect.any(Date),
    });
    expect(await jobRow(id)).toMatchObject({
      state: 'due',
      lease_owner: null,
      run_id: null,
      success: 1,
      last_run: minuteAgo(),
      duration_count: 1,
      duration_sum_ms: 1500,
    });
    expect(await env.query('SELECT stdout FROM run_outputs WHERE run_id = ?', [run.runId])).toEqual([{ stdout: 'o' }]);
  });

  test('is refused under an older fencing token, and nothing is written', async () => {
    const id = await addJob(env);
    const late = await claimOne();
    await env.query('UPDATE jobs SET lease_token = lease_token + 1 WHERE id = ?', [id]);
    expect(await recordOutcome(env.db, outcomeOf(late))).toEqual({ result: 'lost' });
    expect(await runRow(late.runId)).toMatchObject({ outcome: null });
    expect(await jobRow(id)).toMatchObject({ state: 'leased', duration_count: 0 });
    expect(await env.query('SELECT * FROM run_outputs')).toEqual([]);
  });

  test('is refused where the run has one already', async () => {
    await addJob(env);
    const run = await claimOne();
    await recordOutcome(env.db, outcomeOf(run));
    expect(await recordOutcome(env.db, outcomeOf(run, { outcome: 'failed' }))).toEqual({ result: 'lost' });
    expect(await runRow(run.runId)).toMatchObject({ outcome: 'succeeded' });
  });

  test('is written once even where the job is leased still: a run has one terminal state', async () => {
    await addJob(env);
    const run = await claimOne();
    await env.query("UPDATE job_runs SET outcome = 'lost' WHERE id = ?", [run.runId]);
    expect(await recordOutcome(env.db, outcomeOf(run))).toEqual({ result: 'lost' });
    expect(await runRow(run.runId)).toMatchObject({ outcome: 'lost' });
  });

  test('does not touch when the definition was changed last', async () => {
    const id = await addJob(env, { updatedAt: new Date('2020-01-01T00:00:00Z') });
    await recordOutcome(env.db, outcomeOf(await claimOne()));
    expect((await jobRow(id))?.['updated_at']).toEqual(new Date('2020-01-01T00:00:00Z'));
  });

  test('settles what passed meanwhile by the policy, with the reason overlap', async () => {
    const id = await addJob(env, { nextRun: new Date(minuteAgo().getTime() - 10 * 60_000), misfirePolicy: 'catch_up' });
    const run = await claimOne();
    await env.query("UPDATE jobs SET misfire_policy = 'skip' WHERE id = ?", [id]);
    await recordOutcome(env.db, outcomeOf(run));
    const [misfire] = await env.query('SELECT occurrence_count AS n, reason, first_at FROM misfires');
    expect(misfire).toMatchObject({ reason: 'overlap', first_at: new Date(minuteAgo().getTime() - 9 * 60_000) });
    expect([10, 11]).toContain(misfire?.['n']);
    expect(Number((await jobRow(id))?.['next_run'])).toBeGreaterThan(Date.now() - 1000);
  });

  test('of a job that was disabled meanwhile leaves it idle', async () => {
    const id = await addJob(env);
    const run = await claimOne();
    await env.query('UPDATE jobs SET enabled = 0 WHERE id = ?', [id]);
    await recordOutcome(env.db, outcomeOf(run));
    expect(await jobRow(id)).toMatchObject({ state: 'idle', due_at: null });
  });
});

describe('a lease', () => {
  test('is renewed under its token; those that moved on are named', async () => {
    const [kept, moved, gone] = [await addJob(env), await addJob(env), await addJob(env)];
    const runs = [await claimOne(), await claimOne(), await claimOne()];
    await expire(kept);
    await env.query('UPDATE jobs SET lease_token = lease_token + 1 WHERE id = ?', [moved]);
    await env.query("UPDATE jobs SET lease_owner = 'another' WHERE id = ?", [gone]);
    const lost = await renewLeases(env.db, { workerId, leaseMs: 30_000, leases: runs });
    expect(lost.map(({ jobId }) => jobId)).toEqual([moved, gone]);
    expect(await findUnrenewedLeases(env.db, 0)).toEqual([]);
  });

  test("is renewed though another's job is locked by somebody, and that one is not lost", async () => {
    const [locked, free] = [await addJob(env), await addJob(env)];
    const runs = [await claimOne(), await claimOne()];
    for (const id of [locked, free]) await expire(id);
    const expired = () => findUnrenewedLeases(env.db, 0).then((leases) => leases.map(({ jobId }) => jobId));
    await env.db.transact(async (tx) => {
      await tx.execute(sql`SELECT id FROM jobs WHERE id = ${locked} FOR UPDATE`);
      expect(await renewLeases(env.db, { workerId, leaseMs: 30_000, leases: runs })).toEqual([]);
      expect(await expired()).toEqual([locked]);
    });
    expect(await renewLeases(env.db, { workerId, leaseMs: 30_000, leases: runs })).toEqual([]);
    expect(await expired()).toEqual([]);
  });

  test('given back leaves the occurrence due and no run', async () => {
    const at = minuteAgo();
    const id = await addJob(env, { nextRun: at });
    expect(await releaseLease(env.db, await claimOne())).toEqual({ result: 'released' });
    expect(await jobRow(id)).toMatchObject({ state: 'due', due_at: at, next_run: at, lease_owner: null });
    expect(await env.query('SELECT * FROM job_runs')).toEqual([]);
    expect(await claimOne()).toMatchObject({ scheduledFor: at, leaseToken: 2 });
  });

  test('of a run by hand is given back to be run by hand', async () => {
    const id = await addJob(env, {
      trigger: 'manual',
      nextRun: new Date('2040-01-01T00:00:00Z'),
      dueAt: minuteAgo(),
      enabled: false,
    });
    expect(await releaseLease(env.db, await claimOne())).toEqual({ result: 'released' });
    expect(await jobRow(id)).toMatchObject({ state: 'due', trigger_kind: 'manual' });
  });

  test('of a run that its user wanted ended is given back as canceled: it is not due again', async () => {
    const id = await addJob(env, { maxRetries: 3, retryDelaySeconds: 1, cron: '0 0 1 1 *' });
    const run = await claimOne();
    expect(await requestCancel(env.db, run.runId)).toBe(true);
    expect(await releaseLease(env.db, run)).toEqual({ result: 'canceled', misfire: null });
    expect(await runRow(run.runId)).toMatchObject({ outcome: 'canceled', finished_at: expect.any(Date) });
    expect(await jobRow(id)).toMatchObject({ state: 'idle', lease_owner: null, attempt: 1, duration_count: 0 });
  });

  test('that was lost cannot be given back', async () => {
    const id = await addJob(env);
    const run = await claimOne();
    await env.query('UPDATE jobs SET lease_token = lease_token + 1 WHERE id = ?', [id]);
    expect(await releaseLease(env.db, run)).toEqual({ result: 'lost' });
    expect(await runRow(run.runId)).toMatchObject({ outcome: null });
  });

  test('that expired is reaped once: of ten reapers one ends the run', async () => {
    const id = await addJob(env);
    const run = await claimOne();
    await expire(id);
    const [lease] = await findUnrenewedLeases(env.db, 0);
    expect(lease).toEqual({ jobId: id, leaseToken: run.leaseToken, workerId, isExpired: true });
    if (!lease) return;
    const reaped = await Promise.all(Array.from({ length: 10 }, () => reapLost(env.db, lease)));
    expect(reaped.filter(Boolean)).toHaveLength(1);
    expect(await runRow(run.runId)).toMatchObject({ outcome: 'lost', return_code: -1 });
    expect(await jobRow(id)).toMatchObject({ lease_owner: null, success: 0, duration_count: 0 });
  });

  test('whose job is locked by somebody is not waited for by those who reap', async () => {
    const id = await addJob(env);
    await claimOne();
    await expire(id);
    const [lease] = await findUnrenewedLeases(env.db, 0);
    if (!lease) throw new Error('No lease');
    await env.db.transact(async (tx) => {
      await tx.execute(sql`SELECT id FROM jobs WHERE id = ${id} FOR UPDATE`);
      expect(await reapLost(env.db, lease)).toBeNull();
    });
    expect(await reapLost(env.db, lease)).not.toBeNull();
  });

  test('that was renewed after it was found is not reaped', async () => {
    const id = await addJob(env);
    const run = await claimOne();
    await expire(id);
    const [lease] = await findUnrenewedLeases(env.db, 0);
    await renewLeases(env.db, { workerId, leaseMs: 30_000, leases: [run] });
    expect(lease && (await reapLost(env.db, lease))).toBeNull();
    expect(await runRow(run.runId)).toMatchObject({ outcome: null });
  });
});

describe('marking', () => {
  test('makes due what is near, and nothing else', async () => {
    const second = Math.floor(Date.now() / 1000);
    const inSeconds = (seconds: number) => new Date((second + seconds) * 1000);
    const near = await addJob(env, { state: 'idle', nextRun: inSeconds(60) });
    const far = await addJob(env, { state: 'idle', nextRun: inSeconds(600) });
    const disabled = await addJob(env, { state: 'idle', nextRun: inSeconds(60), enabled: false });
    expect(await markDue(env.db)).toBe(1);
    expect(await jobRow(near)).toMatchObject({ state: 'due', due_at: inSeconds(60) });
    for (const id of [far, disabled]) expect(await jobRow(id)).toMatchObject({ state: 'idle', due_at: null });
    expect(await markDue(env.db)).toBe(0);
  });

  test('takes many batches, and passes over rows that are held', async () => {
    for (let n = 0; n < 2100; n++) await addJob(env, { state: 'idle' });
    const [held] = await env.query('SELECT id FROM jobs LIMIT 1');
    await env.db.transact(async (tx) => {
      await tx.execute(`SELECT id FROM jobs WHERE id = ${Number(held?.['id'])} FOR UPDATE`);
      expect(await markDue(env.db)).toBe(2099);
    });
    expect(await markDue(env.db)).toBe(1);
  });
});

test('the history of a deleted job goes, and that of no other', async () => {
  const [gone, kept] = [await addJob(env), await addJob(env)];
  for (let n = 0; n < 3; n++) {
    for (const run of [await claimOne(), await claimOne()]) await recordOutcome(env.db, outcomeOf(run));
    await env.query("UPDATE jobs SET state = 'due', due_at = UTC_TIMESTAMP(6), trigger_kind = 'manual'");
  }
  await env.query('DELETE FROM jobs WHERE id = ?', [gone]);
  await env.query('INSERT INTO purges (job_id) VALUES (?)', [gone]);
  expect(await purgeDeleted(env.db, new Date(Date.now() + 60_000))).toBe(3);
  expect(await env.query('SELECT DISTINCT job_id FROM job_runs')).toEqual([{ job_id: kept }]);
  expect(await env.query('SELECT COUNT(*) AS n FROM run_outputs')).toEqual([{ n: 3 }]);
  expect(await env.query('SELECT * FROM purges')).toEqual([]);
});
