import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestEnvironment } from '../test/support/environment.ts';
import { type BenchServers, withServers } from './environment.ts';
import { processorMs, withChildren } from './processorTime.ts';
import { type Figure, median, type Options, type Scenario } from './scenario.ts';

/*
 * What an API and a worker take while there is nothing to do, with default settings and as they are deployed (npm run build),
 * how long each command needs to start, and how the worker's memory grows with a command's output.
 */
export const idle: Scenario = {
  about: 'statements, processor time and memory of an idle API and worker; memory under 5 GB of output',
  minutes: 3,
  options: { seconds: { value: 60, quick: 10 }, gigabytes: { value: 5, quick: 1 } },
  measure: (options) =>
    withServers(options, async (servers) => {
      const env = await servers.createDatabase();
      const worker = await servers.start(env, 'worker');
      const alone = await measureIdle(env, worker.pid, options);
      const api = await servers.start(env, 'api');
      const [coordinator = 0, ...runners] = withChildren(worker.pid);
      return [
        { what: 'start of a worker', unit: 'ms', value: worker.startMs },
        { what: 'start of an API', unit: 'ms', value: api.startMs },
        ...(await measureCommands(servers, env, options)),
        ...alone,
        memory('API', api.pid),
        memory('coordinator', coordinator),
        ...runners.map((pid, index) => memory(`runner ${index + 1}`, pid)),
        await measureOutput(servers, options),
      ];
    }),
};

/** Those that end by themselves, from start to end. */
async function measureCommands(
  { run }: BenchServers,
  env: TestEnvironment,
  { rounds, say }: Options,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const command of ['migrate', 'doctor', 'openapi', 'settings', '--version']) {
    say(`bjr ${command} …`);
    const found: number[] = [];
    for (let round = 0; round < rounds; round++) found.push(await run(env, [command]));
    figures.push({ what: `bjr ${command}, start to end`, unit: 'ms', value: median(found) });
  }
  return figures;
}

async function measureIdle({ query }: TestEnvironment, worker: number, options: Options): Promise<Figure[]> {
  const seconds = options.number('seconds');
  const pids = withChildren(worker);
  // After the first pass of everything.
  options.say(`5 seconds for the first pass of everything, then ${seconds} seconds idle …`);
  await delay(5000);
  const statements = async () => {
    const [row] = await query<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Questions'");
    return Number(row?.Value);
  };
  const [before, usedMs] = [await statements(), processorMs(pids)];
  await delay(seconds * 1000);
  const asked = (await statements()) - before - 1;
  return [
    { what: 'an idle worker: statements', unit: '/s', value: asked / seconds, goal: { atMost: 2 } },
    {
      what: 'an idle worker: of a core',
      unit: '%',
      value: (processorMs(pids) - usedMs) / seconds / 10,
      goal: { atMost: 1 },
    },
  ];
}

const memory = (what: string, pid: number): Figure => ({
  what: `memory of an idle ${what}`,
  unit: 'MB',
  value: rssMb(pid),
  goal: { atMost: 120 },
});

async function measureOutput(servers: BenchServers, options: Options): Promise<Figure> {
  const gigabytes = options.number('gigabytes');
  const env = await servers.createDatabase();
  const { pid } = await servers.start(env, 'worker', { RUNNERS: '1' });
  const total = () =>
    withChildren(pid)
      .slice(0, 2)
      .reduce((sum, one) => sum + rssMb(one), 0);
  const before = total();
  const row = [2, 'loud', 'loud', `head -c ${gigabytes}G /dev/zero`, '0 0 1 1 *', 'UTC', new Date(), new Date(), 'due'];
  const columns = 'user_id, name, name_key, command, cron, timezone, next_run, due_at, state';
  await env.query(`INSERT INTO jobs (${columns}) VALUES ?`, [[row]]);
  options.say(`${gigabytes} GB of output …`);
  let most = before;
  while ((await env.query("SELECT id FROM job_runs WHERE outcome = 'succeeded'")).length === 0) {
    most = Math.max(most, total());
    await delay(100);
  }
  return {
    what: `memory under ${gigabytes} GB of output: coordinator and runner grow by`,
    unit: 'MB',
    value: Math.max(most, total()) - before,
    goal: { atMost: 64 },
  };
}

function rssMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}
