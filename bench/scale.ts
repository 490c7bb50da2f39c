import { sealRuns } from '../src/store/sealRuns.ts';
import type { TestEnvironment } from '../test/support/environment.ts';
import { type BenchServers, withServers } from './environment.ts';
import { addJobs, addRuns, BULK_ARGS, diskGiB, type Filled, type History } from './scaleData.ts';
import { measureLists, measureRunPages } from './scalePages.ts';
import { measurePurge } from './scalePurge.ts';
import { measureTick } from './scaleTick.ts';
import { type Figure, type Options, type Scenario, timed } from './scenario.ts';

/*
 * What size costs: tick, claim, lists and searches at 1,000,000 jobs against 10,000; pages of a job with 5,000,000 runs
 * against one with 5,000; a purge while claims go on. The data are made anew each time, and are gone after it.
 */
export const scale: Scenario = {
  about: '1,000,000 jobs against 10,000, 5,000,000 runs of a job against 5,000, and a purge while claims go on',
  minutes: 15,
  options: {
    jobs: { value: 1_000_000, quick: 100_000, least: 1000 },
    runs: { value: 5_000_000, quick: 500_000, least: 0, about: '0: the jobs only' },
    purge: { value: 1_000_000, quick: 50_000 },
    requests: { value: 5, quick: 3 },
    seconds: { value: 10, quick: 3, about: 'of claims, a round' },
  },
  measure: (options) =>
    withServers(
      options,
      async (servers) => {
        const small = await fillJobs(servers, options, SMALL_JOBS);
        const large = await fillJobs(servers, options, options.number('jobs'));
        const databasePid = servers.pids.database;
        const figures = [
          large.figure,
          ...(await measureTick(options, { small: small.env, large: large.env, databasePid })),
        ];
        figures.push(...(await measureLists(options, servers, { small, large })));
        const { env } = large;
        const runs = options.number('runs');
        if (runs === 0) return figures;
        const [few, many] = [
          { jobId: 1001, runs: SMALL_RUNS },
          { jobId: 1002, runs },
        ];
        figures.push(await fillRuns(options, env, [many, few]), await seal(options, env));
        figures.push(...(await measureRunPages(options, servers, { env, few, many })));
        figures.push(...(await measurePurge(options, env, many.jobId)));
        return [...figures, { what: 'the database on disk', unit: 'GiB', value: await diskGiB(env) }];
      },
      BULK_ARGS[options.databaseKind],
    ),
};

const SMALL_JOBS = 10_000;
const SMALL_RUNS = 5000;

async function fillJobs(servers: BenchServers, options: Options, jobs: number): Promise<Filled & { figure: Figure }> {
  const env = await servers.createDatabase();
  const beganMs = performance.now();
  await addJobs(env, jobs, options.say);
  const value = (performance.now() - beganMs) / 1000;
  return { env, jobs, figure: { what: `build of ${jobs.toLocaleString('en')} jobs`, unit: 's', value } };
}

async function fillRuns(options: Options, env: TestEnvironment, histories: History[]): Promise<Figure> {
  const beganMs = performance.now();
  await addRuns(env, histories, options.say);
  const value = (performance.now() - beganMs) / 1000;
  const total = histories.reduce((sum, { runs }) => sum + runs, 0);
  return { what: `build of ${total.toLocaleString('en')} runs`, unit: 's', value };
}

/** What the leader's passes do in the end, all at once. */
async function seal({ say }: Options, { db }: TestEnvironment): Promise<Figure> {
  let blocks = 0;
  const ms = await timed(async () => {
    for (let made = 1; made > 0; blocks += made) {
      made = (await sealRuns(db, { afterJobId: 0 })).blocks;
      say(`${blocks + made} blocks of runs`);
    }
  });
  return { what: `sealing, a block of runs (${blocks})`, unit: 'ms', value: ms / blocks };
}
