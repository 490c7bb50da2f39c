import { type LoopsFound, runLoops, runXargs } from './bareLoops.ts';
import { addIdleJobs, drainDue } from './dueJobs.ts';
import { type BenchServers, withServers } from './environment.ts';
import { processorMs, withChildren } from './processorTime.ts';
import { alternateAll, type Figure, mapValues, type Options, type Scenario } from './scenario.ts';

export const DRAIN_OPTIONS = { jobs: { value: 2000, quick: 200 }, concurrency: { value: 8 } };

/*
 * Runs a second where many jobs are due at once, from due to recorded, against bare loops in lean processes; and what a run
 * takes of the processors, all in all: commands, runners, coordinator, database and Redis.
 */
export const drain: Scenario = {
  about: 'runs a second of 2,000 due jobs, by one runner and by two, against bare loops',
  minutes: 6,
  options: DRAIN_OPTIONS,
  measure: (options) =>
    withServers(options, async (servers) => {
      const size = drainSize(options);
      const commands = size.jobs;
      const execa = (processes: number) => () => runLoops({ how: 'execa', processes, commands, ...size });
      // Shown beside the others, and no goal's baseline: a quarter tells their rate as well.
      const few = { commands: commands / 4, concurrency: size.concurrency };
      const spawn = (processes: number) => () => runLoops({ how: 'spawn', processes, ...few });
      const one = await startDrained(servers, { runners: 1, ...size });
      const two = await startDrained(servers, { runners: 2, ...size });
      const found = await alternateAll<string, LoopsFound>(options, {
        'execa, 1 process': execa(1),
        'one runner': one,
        'execa, 2 processes': execa(2),
        'two runners': two,
        'spawn, 1 process': spawn(1),
        'spawn, 2 processes': spawn(2),
        'xargs -P': async () => ({ rate: await runXargs(few), processorMs: Number.NaN }),
      });
      const compare = (what: string, than: string, goal?: Figure['goal']) =>
        figureOf('rate', { what, value: found[what], than, baseline: found[than], goal });
      return [
        compare('one runner', 'execa, 1 process', { atLeast: 0.9 }),
        compare('one runner', 'spawn, 1 process'),
        compare('two runners', 'execa, 2 processes', { atLeast: 0.8 }),
        compare('two runners', 'spawn, 2 processes'),
        compare('two runners', 'xargs -P'),
        processorFigure('two runners', found),
      ];
    }),
};

export const drainSize = (options: Options) => ({
  jobs: options.number('jobs'),
  concurrency: options.number('concurrency'),
});

interface Comparison {
  what: string;
  value: LoopsFound | undefined;
  than: string;
  baseline: LoopsFound | undefined;
  goal?: Figure['goal'];
}

const UNITS = { rate: 'runs/s', processorMs: 'ms' };

function figureOf(key: keyof LoopsFound, { what, value, than, baseline, goal }: Comparison): Figure {
  return {
    what: `drain, ${what}`,
    unit: UNITS[key],
    value: value?.[key] ?? Number.NaN,
    baseline: { what: than, value: baseline?.[key] ?? Number.NaN },
    ...(goal && { goal }),
  };
}

/** Where the processors are what limits it, this is the rate's ratio upside down. */
export function processorFigure(what: string, found: Record<string, LoopsFound>): Figure {
  const than = 'execa, 2 processes';
  const comparison = { what, value: found[what], than, baseline: found[than], goal: { atMost: 1.25 } };
  const figure = figureOf('processorMs', comparison);
  return { ...figure, what: `${figure.what}: processor time a run` };
}

const COMMAND = 'echo hi';

/** Processor time by who took it; the runners' is with their commands'. */
export interface Drained extends LoopsFound {
  coordinatorMs: number;
  runnersMs: number;
  databaseMs: number;
  redisMs: number;
}

/**
 * A worker over a database of its own, warm: an idle one beside it costs the other nothing that is seen. Returns what makes
 * all its jobs due at once and waits until the last is recorded.
 */
export async function startDrained(
  servers: BenchServers,
  { runners, jobs, concurrency }: { runners: number; jobs: number; concurrency: number },
): Promise<() => Promise<Drained>> {
  const env = await servers.createDatabase();
  await addIdleJobs(env, jobs, COMMAND);
  const settings = { RUNNERS: String(runners), WORKER_CONCURRENCY: String(concurrency) };
  const worker = await servers.start(env, 'worker', settings);
  const [, ...runnerPids] = withChildren(worker.pid);
  const { database, redis } = servers.pids;
  const parts = { coordinatorMs: [worker.pid], runnersMs: runnerPids, databaseMs: [database], redisMs: [redis] };
  const drainAll = async () => {
    const usedMs = mapValues(parts, processorMs);
    const rate = jobs / (await drainDue(env, COMMAND)).seconds;
    const takenMs = mapValues(parts, (pids, part) => (processorMs(pids) - usedMs[part]) / jobs);
    return { rate, processorMs: Object.values(takenMs).reduce((sum, ms) => sum + ms, 0), ...takenMs };
  };
  await drainAll();
  return drainAll;
}
