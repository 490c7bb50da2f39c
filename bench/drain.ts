import type { TestEnvironment } from '../test/support/environment.ts';
import { runLoops, runXargs } from './bareLoops.ts';
import { addIdleJobs, drainDue } from './dueJobs.ts';
import { type BenchServers, withServers } from './environment.ts';
import { alternate, type Figure, type Scenario } from './scenario.ts';

/*
 * Runs a second where many jobs are due at once, from due to recorded, against bare loops in lean processes.
 * Options: --jobs 2000 --concurrency 8
 */
export const drain: Scenario = {
  about: 'runs a second of 2,000 due jobs, by one runner and by two, against bare loops',
  measure: (options) =>
    withServers(options, async (servers) => {
      const commands = options.number('jobs', 2000, 200);
      const concurrency = options.number('concurrency', 8);
      const one = await startDrained(servers, { runners: 1, jobs: commands, concurrency });
      const two = await startDrained(servers, { runners: 2, jobs: commands, concurrency });
      const found = await alternate(options, {
        execa1: () => runLoops({ how: 'execa', processes: 1, commands, concurrency }),
        runners1: one.drain,
        execa2: () => runLoops({ how: 'execa', processes: 2, commands, concurrency }),
        runners2: two.drain,
        spawn1: () => runLoops({ how: 'spawn', processes: 1, commands, concurrency }),
        spawn2: () => runLoops({ how: 'spawn', processes: 2, commands, concurrency }),
        xargs: () => runXargs({ commands, concurrency }),
      });
      const line = (runners: 1 | 2, baseline: keyof typeof found, goal?: Figure['goal']): Figure => ({
        what: `drain, ${runners === 1 ? 'one runner' : 'two runners'}`,
        unit: 'runs/s',
        value: found[`runners${runners}`],
        baseline: { what: BASELINES[baseline] ?? baseline, value: found[baseline] },
        ...(goal && { goal }),
      });
      return [
        line(1, 'execa1', { atLeast: 0.9 }),
        line(1, 'spawn1'),
        line(2, 'execa2', { atLeast: 0.8 }),
        line(2, 'spawn2'),
        line(2, 'xargs'),
      ];
    }),
};

const BASELINES: Record<string, string> = {
  execa1: 'execa, 1 process',
  spawn1: 'spawn, 1 process',
  execa2: 'execa, 2 processes',
  spawn2: 'spawn, 2 processes',
  xargs: 'xargs -P',
};

const COMMAND = 'echo hi';

export interface Drained {
  env: TestEnvironment;
  /** Makes all jobs due at once; runs a second until the last is recorded. */
  drain(): Promise<number>;
}

/** A worker over a database of its own, warm: an idle one beside it costs the other nothing that is seen. */
export async function startDrained(
  servers: BenchServers,
  { runners, jobs, concurrency }: { runners: number; jobs: number; concurrency: number },
): Promise<Drained> {
  const env = await servers.createDatabase();
  await addIdleJobs(env, jobs, COMMAND);
  await servers.start(env, 'worker', { RUNNERS: String(runners), WORKER_CONCURRENCY: String(concurrency) });
  const drainAll = async () => jobs / (await drainDue(env, COMMAND)).seconds;
  await drainAll();
  return { env, drain: drainAll };
}
