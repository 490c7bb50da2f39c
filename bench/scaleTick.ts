import { claimRuns } from '../src/store/claimRuns.ts';
import { markDue } from '../src/store/markDue.ts';
import type { TestEnvironment } from '../test/support/environment.ts';
import { TAGGED } from './scaleData.ts';
import { alternateAll, type Figure, type Options, timed } from './scenario.ts';

const CLAIMED_AT_ONCE = 50;

/** The leader's mark and the workers' claims of as many due jobs, spread over all. The first round warms up. */
export async function measureTick(
  options: Options,
  { small, large }: { small: TestEnvironment; large: TestEnvironment },
): Promise<Figure[]> {
  await alternateAll({ ...options, rounds: 1 }, { small: () => tick(small), large: () => tick(large) });
  const found = await alternateAll(options, { small: () => tick(small), large: () => tick(large) });
  const figure = (what: string, of: (times: Times) => number, goal?: Figure['goal']): Figure => ({
    what,
    unit: 'ms',
    value: of(found.large),
    baseline: { what: '10,000 jobs', value: of(found.small) },
    ...(goal && { goal }),
  });
  const goal = { atMost: 1.5 };
  return [
    figure(`tick that marks ${TAGGED} jobs`, ({ mark }) => mark, goal),
    figure(`claims of ${TAGGED} jobs, ${CLAIMED_AT_ONCE} at a time`, ({ claim }) => claim, goal),
    figure('tick that finds nothing', ({ idle }) => idle),
    figure('claim that finds nothing', ({ empty }) => empty),
  ];
}

/** Milliseconds. */
interface Times {
  mark: number;
  claim: number;
  idle: number;
  empty: number;
}

async function tick({ db, query }: TestEnvironment): Promise<Times> {
  await query(
    `UPDATE job_tags STRAIGHT_JOIN jobs ON jobs.id = job_tags.job_id
     SET jobs.next_run = UTC_TIMESTAMP(6), jobs.enabled = TRUE WHERE job_tags.tag_id = 1000`,
  );
  const options = { workerId: '00000000-0000-4000-8000-000000000000', leaseMs: 30_000, misfireGraceMs: 60_000 };
  const claim = async () => (await claimRuns(db, { ...options, limit: CLAIMED_AT_ONCE })).runs.length;
  const times = {
    mark: await timed(async () => expectCount(await markDue(db), TAGGED)),
    idle: await timed(async () => expectCount(await markDue(db), 0)),
    claim: await timed(async () => {
      for (let left = TAGGED; left > 0; left -= CLAIMED_AT_ONCE) expectCount(await claim(), CLAIMED_AT_ONCE);
    }),
    empty: await timed(async () => expectCount(await claim(), 0)),
  };
  await query(
    `UPDATE jobs SET state = 'idle', lease_owner = NULL, lease_expires_at = NULL, run_id = NULL WHERE state = 'leased'`,
  );
  await query('DELETE FROM job_runs');
  return times;
}

function expectCount(found: number, expected: number): void {
  if (found !== expected) throw new Error(`${found} jobs where ${expected} were expected`);
}
