import { claimRuns } from '../src/store/claimRuns.ts';
import { markDue } from '../src/store/markDue.ts';
import { recordOutcomes } from '../src/store/recordOutcome.ts';
import type { ClaimedRun } from '../src/store/writeClaim.ts';
import type { TestEnvironment } from '../test/support/environment.ts';
import { succeeded } from '../test/support/outcomes.ts';
import { processorMs } from './processorTime.ts';
import { TAGGED } from './scaleData.ts';
import { alternateAll, type Figure, type Options, timed } from './scenario.ts';

const AT_ONCE = 50;
/** The rows of jobs that have never run grow with their first run, and pages are split for it. */
const WARM_UP_ROUNDS = 2;

interface Measured {
  small: TestEnvironment;
  large: TestEnvironment;
  /** The server of both. */
  databasePid: number;
}

/** The leader's mark, the workers' claims and their records of as many due jobs, spread over all. */
export async function measureTick(options: Options, { small, large, databasePid }: Measured): Promise<Figure[]> {
  const work = { small: () => tick(small, databasePid), large: () => tick(large, databasePid) };
  await alternateAll({ ...options, rounds: WARM_UP_ROUNDS }, work);
  const found = await alternateAll(options, work);
  const figure = (what: string, of: (times: Times) => number, goal?: Figure['goal']): Figure => ({
    what,
    unit: 'ms',
    value: of(found.large),
    baseline: { what: '10,000 jobs', value: of(found.small) },
    ...(goal && { goal }),
  });
  const both = (what: string, name: 'mark' | 'claim' | 'record') => [
    figure(what, (times) => times[name], GOAL),
    figure(`${what}: the database's processor`, (times) => times[`${name}Processor`], GOAL),
  ];
  return [
    ...both(`tick that marks ${TAGGED} jobs`, 'mark'),
    ...both(`claims of ${TAGGED} jobs, ${AT_ONCE} at a time`, 'claim'),
    ...both(`records of ${TAGGED} runs, ${AT_ONCE} at a time`, 'record'),
    figure('tick that finds nothing', ({ idle }) => idle),
    figure('claim that finds nothing', ({ empty }) => empty),
  ];
}

const GOAL = { atMost: 1.5 };

/** Milliseconds. */
interface Times {
  mark: number;
  markProcessor: number;
  claim: number;
  claimProcessor: number;
  record: number;
  recordProcessor: number;
  idle: number;
  empty: number;
}

async function tick({ db, query }: TestEnvironment, databasePid: number): Promise<Times> {
  await query(
    `UPDATE job_tags STRAIGHT_JOIN jobs ON jobs.id = job_tags.job_id
     SET jobs.next_run = UTC_TIMESTAMP(6), jobs.enabled = TRUE WHERE job_tags.tag_id = 1000`,
  );
  const options = { workerId: '00000000-0000-4000-8000-000000000000', leaseMs: 600_000, misfireGraceMs: 60_000 };
  const claim = async () => (await claimRuns(db, { ...options, limit: AT_ONCE })).runs;
  const claimed: ClaimedRun[][] = [];
  const measure = async (work: () => Promise<unknown>) => {
    const processorBeganMs = processorMs([databasePid]);
    return { ms: await timed(work), processor: processorMs([databasePid]) - processorBeganMs };
  };
  const mark = await measure(async () => expectCount(await markDue(db), TAGGED));
  const idle = await timed(async () => expectCount(await markDue(db), 0));
  const claims = await measure(async () => {
    for (let left = TAGGED; left > 0; left -= AT_ONCE) claimed.push(await claim());
  });
  for (const runs of claimed) expectCount(runs.length, AT_ONCE);
  const empty = await timed(async () => expectCount((await claim()).length, 0));
  const records = await measure(async () => {
    for (const runs of claimed) await record(db, runs);
  });
  await query('DELETE FROM job_runs');
  await query('DELETE FROM run_outputs');
  return {
    mark: mark.ms,
    markProcessor: mark.processor,
    claim: claims.ms,
    claimProcessor: claims.processor,
    record: records.ms,
    recordProcessor: records.processor,
    idle,
    empty,
  };
}

async function record(db: TestEnvironment['db'], runs: ClaimedRun[]): Promise<void> {
  const at = new Date();
  const recorded = await recordOutcomes(
    db,
    runs.map((run) => succeeded(run, at)),
  );
  expectCount(recorded.filter((one) => one?.result === 'recorded').length, runs.length);
}

function expectCount(found: number, expected: number): void {
  if (found !== expected) throw new Error(`${found} jobs where ${expected} were expected`);
}
