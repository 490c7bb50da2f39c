import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClaimedRun, claimRuns } from '../../src/store/claimRuns.ts';
import { type RunOutcome, recordOutcome } from '../../src/store/recordOutcome.ts';
import { requireSchema, SchemaOutdated } from '../../src/store/requireSchema.ts';
import { settleRestore } from '../../src/store/settleRestore.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob, minuteAgo } from '../support/jobs.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

const workerId = '00000000-0000-4000-8000-000000000001';
const claimOne = async (): Promise<ClaimedRun> => {
  const { runs } = await claimRuns(env.db, { workerId, limit: 1, leaseMs: 30_000, misfireGraceMs: 60_000 });
  const [run] = runs;
  if (!run) throw new Error('Nothing was due');
  return run;
};
const outcomeOf = ({ runId, jobId, leaseToken, scheduledFor, attempt }: ClaimedRun): RunOutcome => ({
  ...{ runId, jobId, leaseToken, scheduledFor, attempt },
  outcome: 'succeeded',
  returnCode: 0,
  errorMessage: '',
  startedAt: minuteAgo(),
  finishedAt: minuteAgo(),
  output: { stdout: '', stderr: '', stdoutBytes: 0, stderrBytes: 0, stdoutTruncated: false, stderrTruncated: false },
});

/** The database as it was before the claim, ids and tokens included: what a restored copy is. */
async function returnTo(before: Record<string, unknown>[]): Promise<void> {
  await env.query('DELETE FROM job_runs');
  await env.query('ALTER TABLE job_runs AUTO_INCREMENT = 1');
  await env.query('DELETE FROM jobs');
  for (const row of before) await env.query('INSERT INTO jobs SET ?', [row]);
}

describe('a database that was restored', () => {
  test('takes no outcome of a run that it does not know for that of a new one', async () => {
    await addJob(env);
    const before = await env.query('SELECT * FROM jobs');
    const gone = await claimOne();

    await returnTo(before);
    const mistaken = await claimOne();
    expect([mistaken.runId, mistaken.leaseToken]).toEqual([gone.runId, gone.leaseToken]);

    await returnTo(before);
    await settleRestore(env.db);
    const next = await claimOne();
    expect(next.runId).toBeGreaterThan(gone.runId + 100_000);
    expect(next.leaseToken).toBeGreaterThan(gone.leaseToken + 100_000);
    expect(await recordOutcome(env.db, outcomeOf(gone))).toEqual({ result: 'lost' });
    expect(await recordOutcome(env.db, outcomeOf(next))).toMatchObject({ result: 'recorded' });
  });
});

describe('a version that is older than the schema', () => {
  test('claims and records over new columns and tables; one that is newer refuses to start', async () => {
    for (const table of ['jobs', 'job_runs', 'run_outputs', 'users'])
      await env.query(`ALTER TABLE ${table} ADD COLUMN of_a_later_version INT NOT NULL DEFAULT 7 FIRST`);
    await env.query('CREATE TABLE of_a_later_version (id INT PRIMARY KEY)');
    await env.query("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('later', 9999999999999)");
    await requireSchema(env.db);
    await addJob(env);
    const run = await claimOne();
    expect(await recordOutcome(env.db, outcomeOf(run))).toMatchObject({ result: 'recorded' });

    await env.query('DELETE FROM __drizzle_migrations ORDER BY created_at DESC LIMIT 2');
    await expect(requireSchema(env.db)).rejects.toThrow(SchemaOutdated);
  });
});
