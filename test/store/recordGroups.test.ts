import * as fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claimRuns } from '../../src/store/claimRuns.ts';
import { createDatabase } from '../../src/store/database.ts';
import { type Recorded, type RunOutcome, recordOutcome, recordOutcomes } from '../../src/store/recordOutcome.ts';
import { jobRuns, jobs } from '../../src/store/schema.ts';
import { createRecordInGroups } from '../../src/worker/recordGroup.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

const TABLES = ['jobs', 'job_runs', 'run_outputs', 'misfires', 'deliveries'];
/** Its occurrences are years apart: what has passed is the same for whoever looks, now or a minute later. */
const YEARLY = '0 0 1 1 *';
const at = new Date('2026-01-01T00:00:00Z');

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
beforeEach(async () => {
  for (const table of TABLES) await env.query('DELETE FROM ??', [table]);
});
afterAll(() => env.close());

/** A run under a lease, and what has become of it meanwhile. */
const leased = fc.record({
  job: fc.record({
    enabled: fc.boolean(),
    misfirePolicy: fc.constantFrom('skip' as const, 'fire_once' as const, 'catch_up' as const),
    nextRun: fc.constantFrom(new Date('2020-01-01T00:00:00Z'), new Date('2099-01-01T00:00:00Z'), null),
    endsAt: fc.constantFrom(new Date('2022-06-01T00:00:00Z'), null),
    successCallback: fc.constantFrom('https://example.com/a', ''),
    failureCallback: fc.constantFrom('https://example.com/b', ''),
    callbackPolicy: fc.constantFrom('every' as const, 'change' as const),
    toldSuccess: fc.constantFrom(true, false, null),
    maxRetries: fc.nat(2),
    durationCount: fc.nat(3),
    durationSumMs: fc.nat(9000),
    durationWeightedMs: fc.constantFrom(0, 1.5, 1e15),
  }),
  attempt: fc.integer({ min: 1, max: 2 }),
  scheduledFor: fc.constantFrom(at, null),
  outcome: fc.constantFrom('succeeded' as const, 'failed' as const, 'timed_out' as const, 'canceled' as const),
  returnCode: fc.integer({ min: 0, max: 255 }),
  errorMessage: fc.constantFrom('', "it's “wrong” \\ \u0000\n", '\ud800 half'),
  stdout: fc.constantFrom('', 'hi\n', 'ü 🙂 " \\ \u0007'),
  lagMs: fc.nat(5000),
  mishap: fc.constantFrom('none', 'none', 'none', 'lease moved on', 'given up', 'cancel requested', 'job deleted'),
});
type Leased = typeof leased extends fc.Arbitrary<infer T> ? T : never;

const plain: Leased = {
  job: {
    enabled: true,
    misfirePolicy: 'fire_once',
    nextRun: new Date('2099-01-01T00:00:00Z'),
    endsAt: null,
    successCallback: '',
    failureCallback: '',
    callbackPolicy: 'every',
    toldSuccess: null,
    maxRetries: 0,
    durationCount: 0,
    durationSumMs: 0,
    durationWeightedMs: 0,
  },
  attempt: 1,
  scheduledFor: at,
  outcome: 'succeeded',
  returnCode: 0,
  errorMessage: '',
  stdout: 'hi\n',
  lagMs: 5,
  mishap: 'none',
};

/** Writes jobs that are leased, with their runs; ids count from a base. Returns their outcomes. */
async function lease(all: Leased[], base = 1): Promise<RunOutcome[]> {
  const ids = all.map((_, n) => ({ jobId: base + n, runId: 10_000 + base + n, leaseToken: 7 }));
  await env.db.insert(jobs).values(
    all.map(({ job, mishap }, n) => ({
      ...job,
      id: base + n,
      userId: 1,
      name: `job ${base + n}`,
      nameKey: `job ${base + n}`,
      command: 'true',
      cron: YEARLY,
      timezone: 'UTC',
      state: mishap === 'given up' ? ('idle' as const) : ('leased' as const),
      leaseOwner: 'w',
      leaseToken: mishap === 'lease moved on' ? 8 : 7,
      leaseExpiresAt: new Date('2099-01-01T00:00:00Z'),
      runId: 10_000 + base + n,
    })),
  );
  await env.db.insert(jobRuns).values(
    all.map(({ attempt, scheduledFor, mishap }, n) => ({
      id: 10_000 + base + n,
      jobId: base + n,
      userId: 1,
      trigger: 'schedule' as const,
      scheduledFor,
      attempt,
      leaseToken: 7,
      workerId: 'w',
      startedAt: at,
      cancelRequestedAt: mishap === 'cancel requested' ? at : null,
    })),
  );
  const gone = ids.filter((_, n) => all[n]?.mishap === 'job deleted').map(({ jobId }) => jobId);
  if (gone.length > 0) await env.query('DELETE FROM jobs WHERE id IN (?)', [gone]);
  return all.map(({ attempt, scheduledFor, outcome, returnCode, errorMessage, stdout, lagMs }, n) => {
    const startedAt = new Date(at.getTime() + lagMs);
    const stdoutBytes = Buffer.byteLength(stdout);
    const rest = { stderr: '', stderrBytes: 0, stdoutTruncated: false, stderrTruncated: n % 2 === 0 };
    return {
      ...(ids[n] ?? { jobId: 0, runId: 0, leaseToken: 0 }),
      ...{ attempt, scheduledFor, outcome, returnCode, errorMessage, startedAt },
      finishedAt: new Date(startedAt.getTime() + 1500 + n),
      output: { stdout, stdoutBytes, ...rest },
    };
  });
}

/** Every column of every row, but for what differs by when it was written and by which set it belongs to. */
async function everything(base: number) {
  const rows: Record<string, unknown>[] = [];
  for (const [table, key] of Object.entries({
    jobs: 'id',
    job_runs: 'job_id',
    run_outputs: 'run_id - 10000',
    misfires: 'job_id',
    deliveries: 'job_id',
  })) {
    const found = await env.query(`SELECT * FROM ${table} WHERE ${key} BETWEEN ? AND ? ORDER BY ${key}`, [
      base,
      base + 999,
    ]);
    rows.push(...found.map((row) => ({ table, ...comparable(row, base) })));
  }
  return rows;
}

const OWN_TIME = ['created_at', 'updated_at', 'queued_at', 'next_attempt_at'];

function comparable(row: Record<string, unknown>, base: number) {
  const entries = Object.entries(row).flatMap(([name, value]): [string, unknown][] => {
    if (OWN_TIME.includes(name) || name === 'name' || name === 'name_key') return [];
    if (name === 'id' && !('job_id' in row)) return [[name, Number(value) - base]];
    if (name === 'id') return [];
    if (name === 'job_id' || name === 'run_id') return [[name, value === null ? null : Number(value) - base]];
    // A retry is due some time from now.
    if (name === 'due_at' && row['trigger_kind'] === 'retry') return [[name, Number(value) > Date.now()]];
    return [[name, value]];
  });
  return Object.fromEntries(entries);
}

/** What the callers hear, without what differs between the sets. */
const told = (results: (Recorded | null)[]) =>
  results.map((recorded) => {
    if (recorded?.result !== 'recorded') return recorded?.result;
    const { misfire, dueAt, hasCallback } = recorded;
    return [misfire?.count, misfire?.firstAt, misfire?.lastAt, misfire?.reason, dueAt !== null, hasCallback];
  });

test('outcomes recorded in groups of any size leave what they leave one by one', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.array(leased, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
    async (groups) => {
      for (const table of TABLES) await env.query('DELETE FROM ??', [table]);
      const alone: Recorded[] = [];
      for (const outcome of await lease(groups.flat(), 1)) alone.push(await recordOutcome(env.db, outcome));
      const left = await lease(groups.flat(), 1001);
      const together: Recorded[] = [];
      for (const group of groups) {
        const outcomes = left.splice(0, group.length);
        const results = await recordOutcomes(env.db, outcomes);
        for (const [n, outcome] of outcomes.entries())
          together.push(results[n] ?? (await recordOutcome(env.db, outcome)));
      }
      expect(told(together)).toEqual(told(alone));
      expect(await everything(1001)).toEqual(await everything(1));
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

describe('in a group', () => {
  test('an outcome whose lease is lost is refused by itself, and the others are recorded', async () => {
    const outcomes = await lease([
      plain,
      { ...plain, mishap: 'lease moved on' },
      { ...plain, mishap: 'given up' },
      plain,
    ]);
    const results = await recordOutcomes(env.db, outcomes);
    expect(results.map((recorded) => recorded?.result)).toEqual(['recorded', undefined, undefined, 'recorded']);
    const runs = await env.query('SELECT outcome FROM job_runs ORDER BY id');
    expect(runs.map((run) => run['outcome'])).toEqual(['succeeded', null, null, 'succeeded']);
    const states = await env.query('SELECT state, run_id, duration_count AS n FROM jobs ORDER BY id');
    const untouched = [
      { state: 'leased', run_id: 10_002, n: 0 },
      { state: 'idle', run_id: 10_003, n: 0 },
    ];
    const given = { state: 'idle', run_id: null, n: 1 };
    expect(states).toEqual([given, ...untouched, given]);
  });

  test('one whose run has ended already keeps the others from nothing', async () => {
    const outcomes = await lease([plain, plain, plain]);
    await env.query("UPDATE job_runs SET outcome = 'lost' WHERE id = 10002");
    const record = createRecordInGroups({ db: env.db, log: pino({ level: 'silent' }) });
    const results = await Promise.all(outcomes.map(record));
    expect(results.map(({ result }) => result)).toEqual(['recorded', 'lost', 'recorded']);
    const runs = await env.query('SELECT outcome FROM job_runs ORDER BY id');
    expect(runs.map((run) => run['outcome'])).toEqual(['succeeded', 'lost', 'succeeded']);
  });

  test('one that cannot be written is told its caller, and the others are recorded', async () => {
    const outcomes = await lease([plain, plain, plain]);
    await env.query("INSERT INTO run_outputs (run_id, stdout, stderr) VALUES (10002, 'in the way', '')");
    const record = createRecordInGroups({ db: env.db, log: pino({ level: 'silent' }) });
    const results = await Promise.allSettled(outcomes.map(record));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const runs = await env.query('SELECT outcome FROM job_runs ORDER BY id');
    expect(runs.map((run) => run['outcome'])).toEqual(['succeeded', null, 'succeeded']);
  });

  test("one whose job's row another holds waits alone", async () => {
    const outcomes = await lease([plain, plain, plain]);
    const record = createRecordInGroups({ db: env.db, log: pino({ level: 'silent' }) });
    const [first, held, last] = outcomes.map((outcome) => ({ outcome, end: Promise.resolve<unknown>(null) }));
    await env.db.transact(async (tx) => {
      await tx.execute('SELECT id FROM jobs WHERE id = 2 FOR UPDATE');
      // By itself, and then in company: it keeps the writer from nothing.
      if (held) held.end = record(held.outcome);
      await new Promise(setImmediate);
      for (const one of [first, last]) if (one) one.end = record(one.outcome);
      await Promise.all([first?.end, last?.end]);
      expect(await env.query('SELECT id FROM job_runs WHERE outcome IS NULL')).toEqual([{ id: 10_002 }]);
    });
    expect(await held?.end).toMatchObject({ result: 'recorded' });
  });

  test('many large outputs are more than one group, and one that is larger than a group is one', async () => {
    const outcomes = await lease(Array.from({ length: 4 }, () => plain));
    const lines: string[] = [];
    const record = createRecordInGroups({
      db: env.db,
      log: pino({ level: 'warn' }, { write: (line) => lines.push(line) }),
    });
    const sizes = [5, 2.5, 2.5, 0.001].map((mib) => Math.round(mib * 2 ** 20));
    const large = outcomes.map((outcome, n) => {
      const stdout = "'".repeat(sizes[n] ?? 0);
      return { ...outcome, output: { ...outcome.output, stdout, stdoutBytes: stdout.length } };
    });
    await Promise.all(large.map(record));
    expect(lines).toEqual([]);
    const outputs = await env.query('SELECT LENGTH(stdout) AS n FROM run_outputs ORDER BY run_id');
    expect(outputs.map((output) => output['n'])).toEqual(sizes);
  });
});

test('a group has as many statements as one', async () => {
  // Used by one caller at a time, its pool is one connection, which counts its own.
  const db = createDatabase(env.config.database);
  const questions = async () => {
    const [rows] = await db.execute<{ Value: string }[]>("SHOW SESSION STATUS LIKE 'Questions'");
    return Number(Object(rows)[0].Value);
  };
  const cost = async (outcomes: RunOutcome[]) => {
    const before = await questions();
    await recordOutcomes(db, outcomes);
    return (await questions()) - before;
  };
  const failing: Leased = {
    ...plain,
    outcome: 'failed',
    job: { ...plain.job, nextRun: new Date('2020-01-01T00:00:00Z'), failureCallback: 'https://example.com/b' },
  };
  const one = await cost(await lease([failing]));
  expect(
    await cost(
      await lease(
        Array.from({ length: 50 }, () => failing),
        1001,
      ),
    ),
  ).toBe(one);
});

test('a run is recorded though the schedule of its job can no longer be read; the next claim puts the job aside', async () => {
  const past = { ...plain, job: { ...plain.job, nextRun: new Date('2020-01-01T00:00:00Z') } };
  const [outcome] = await lease([past]);
  if (!outcome) throw new Error('There is no outcome');
  await env.query("UPDATE jobs SET timezone = 'Nowhere/Here'");
  expect(await recordOutcomes(env.db, [outcome])).toMatchObject([{ result: 'recorded', misfire: null }]);
  expect(await env.query('SELECT outcome FROM job_runs')).toEqual([{ outcome: 'succeeded' }]);
  const claim = await claimRuns(env.db, { workerId: 'w', limit: 10, leaseMs: 30_000, misfireGraceMs: 60_000 });
  expect(claim.broken.map(({ jobId }) => jobId)).toEqual([outcome.jobId]);
});
