import { loadConfig } from '../src/platform/config.ts';
import { claimRuns } from '../src/store/claimRuns.ts';
import { createDatabase, type Database } from '../src/store/database.ts';
import { purgeDeleted } from '../src/store/purgeDeleted.ts';
import { type RunOutcome, recordOutcome, recordOutcomes } from '../src/store/recordOutcome.ts';
import type { ClaimedRun } from '../src/store/writeClaim.ts';
import type { TestEnvironment } from '../test/support/environment.ts';
import { succeeded } from '../test/support/outcomes.ts';
import { alternateAll, type Figure, type Options, percentile, timed } from './scenario.ts';

const CLAIMERS = 2;
const CLAIMED_AT_ONCE = 50;

/** The leader's removal of a deleted job's runs while others claim and record, against claims that have the database to themselves. */
export async function measurePurge(options: Options, env: TestEnvironment, jobId: number): Promise<Figure[]> {
  const purged = options.number('purge');
  const seconds = options.number('seconds');
  await env.query('DELETE FROM jobs WHERE id = ?', [jobId]);
  await env.query('INSERT INTO purges VALUES (?, UTC_TIMESTAMP(6) - INTERVAL 1 DAY)', [jobId]);
  const retried = { count: 0 };
  const db = createDatabase(loadConfig(env.env).database, ({ type }) => {
    if (type === 'transaction_retried') retried.count++;
  });
  const alone = async () => {
    const ends = AbortSignal.timeout(seconds * 1000);
    return claimUntil(db, env, ends);
  };
  let purgeMs = 0;
  const beside = async () => {
    const ends = new AbortController();
    const claims = claimUntil(db, env, ends.signal);
    purgeMs += await timed(() => purge(env.db, purged / options.rounds));
    ends.abort();
    return claims;
  };
  const found = await alternateAll(options, { alone, beside });
  await db.close();
  const figure = (what: string, unit: string, of: (claims: Claims) => number): Figure => ({
    what,
    unit,
    value: of(found.beside),
    baseline: { what: 'no purge', value: of(found.alone) },
  });
  return [
    figure('claims beside a purge', 'runs/s', ({ rate }) => rate),
    figure('claims beside a purge: p50', 'ms', ({ p50 }) => p50),
    figure('claims beside a purge: p99', 'ms', ({ p99 }) => p99),
    { what: 'purge beside claims', unit: 'runs/s', value: purged / (purgeMs / 1000) },
    { what: 'transactions retried', unit: '', value: retried.count, goal: { atMost: 0 } },
  ];
}

/** Runs claimed and recorded a second; milliseconds of a claim of many. */
interface Claims {
  rate: number;
  p50: number;
  p99: number;
}

async function claimUntil(db: Database, env: TestEnvironment, ends: AbortSignal): Promise<Claims> {
  const times: number[] = [];
  let runs = 0;
  const claimer = async (n: number) => {
    const workerId = `00000000-0000-4000-8000-00000000000${n}`;
    const options = { workerId, limit: CLAIMED_AT_ONCE, leaseMs: 600_000, misfireGraceMs: 600_000 };
    while (!ends.aborted) {
      let claimed: ClaimedRun[] = [];
      const claimMs = await timed(async () => {
        claimed = (await claimRuns(db, options)).runs;
      });
      if (claimed.length === 0) {
        await makeDue(env);
        continue;
      }
      times.push(claimMs);
      const at = new Date();
      await record(
        db,
        claimed.map((run) => succeeded(run, at)),
      );
      runs += claimed.length;
    }
  };
  const tookMs = await timed(() => Promise.all(Array.from({ length: CLAIMERS }, (_, n) => claimer(n))));
  return { rate: runs / (tookMs / 1000), p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** As a worker does: a group passes over the rows that another transaction holds, and those are waited for one by one. */
async function record(db: Database, outcomes: RunOutcome[]): Promise<void> {
  const recorded = await recordOutcomes(db, outcomes);
  for (const [at, outcome] of outcomes.entries()) if (recorded[at] === null) await recordOutcome(db, outcome);
}

const makeDue = ({ query }: TestEnvironment) =>
  query(
    `UPDATE job_tags STRAIGHT_JOIN jobs ON jobs.id = job_tags.job_id
     SET jobs.next_run = UTC_TIMESTAMP(6), jobs.due_at = UTC_TIMESTAMP(6), jobs.state = 'due'
     WHERE job_tags.tag_id = 1000 AND jobs.state = 'idle'`,
  );

async function purge(db: Database, runs: number): Promise<void> {
  const deletedBefore = new Date();
  for (let left = runs; left > 0; ) {
    const purged = await purgeDeleted(db, deletedBefore);
    if (purged === 0) throw new Error('There is nothing left to purge');
    left -= purged;
  }
}
