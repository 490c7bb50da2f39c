import { setTimeout as delay } from 'node:timers/promises';
import type { TestEnvironment } from '../test/support/environment.ts';
import { until } from '../test/support/processes.ts';
import { runLoops } from './bareLoops.ts';
import { type Client, signIn } from './client.ts';
import { withServers } from './environment.ts';
import { type Figure, median, type Options, percentile, type Scenario } from './scenario.ts';

/*
 * How late commands start, by their own clock: the first thing that each does is to print it, so what bash needs to get
 * there is counted. One API and one worker with default settings. Options: --minutes 5 --runs 200
 */
export const lag: Scenario = {
  about: 'how late commands start: one, 100 and 1,000 at an instant, and by run_now (six minutes)',
  measure: (options) =>
    withServers(options, async (servers) => {
      const env = await servers.createDatabase();
      await servers.start(env, 'worker');
      const api = await servers.start(env, 'api');
      const client = await signIn(api.url);
      const byHand = await measureRunNow(env, client, options);
      return [...(await measureSchedules(env, options)), ...byHand];
    }),
};

/** bash's own clock: no further process. */
const COMMAND = 'echo $EPOCHREALTIME';
const ADMIN = 2;
/** Each at seconds of its own within the minute, so that they do not wait for each other. */
const GROUPS = [
  { jobs: 1, seconds: ['0', '5', '10', '15'] },
  { jobs: 100, seconds: ['20'] },
  { jobs: 1000, seconds: ['30'] },
];
/** When the 1,000 are long done. */
const BARE_AT_SECOND = 45;

async function measureSchedules(env: TestEnvironment, options: Options): Promise<Figure[]> {
  const minutes = options.number('minutes', 5, 1);
  const first = await schedule(env);
  const bare: number[] = [];
  for (let minute = 0; minute < minutes; minute++) {
    options.say(`minute ${minute + 1} of ${minutes} …`);
    await delay(first + minute * 60_000 + BARE_AT_SECOND * 1000 - Date.now());
    bare.push(1000 / (await runLoops({ how: 'execa', processes: 2, commands: 1000, concurrency: 10 })).rate);
  }
  await env.query('UPDATE jobs SET enabled = 0');
  return (
    await Promise.all(GROUPS.map(({ jobs }) => figuresOf(env, { jobs, minutes, bareSeconds: median(bare) })))
  ).flat();
}

/** Returns when the first minute begins. */
async function schedule({ query }: TestEnvironment): Promise<number> {
  const first = Math.ceil((Date.now() + 5000) / 60_000) * 60_000;
  const rows = GROUPS.flatMap(({ jobs, seconds }) =>
    seconds.flatMap((second) =>
      Array.from({ length: jobs }, (_, n) => {
        const name = `${jobs} at ${second}: ${n}`;
        const nextRun = new Date(first + Number(second) * 1000);
        return [ADMIN, name, name, COMMAND, `${second} * * * * *`, 'UTC', nextRun, nextRun, 'due'];
      }),
    ),
  );
  const columns = 'user_id, name, name_key, command, cron, timezone, next_run, due_at, state';
  await query(`INSERT INTO jobs (${columns}) VALUES ?`, [rows]);
  return first;
}

interface Group {
  jobs: number;
  minutes: number;
  bareSeconds: number;
}

async function figuresOf({ query }: TestEnvironment, { jobs, minutes, bareSeconds }: Group): Promise<Figure[]> {
  const rows = await query<{ at: Date; ms: number }>(
    `SELECT job_runs.scheduled_for AS at, stdout * 1000 - TIMESTAMPDIFF(MICROSECOND, '1970-01-01', job_runs.scheduled_for) / 1000 AS ms
     FROM job_runs JOIN run_outputs ON run_outputs.run_id = job_runs.id JOIN jobs ON jobs.id = job_runs.job_id
     WHERE jobs.name LIKE ?`,
    [`${jobs} at %`],
  );
  const expected = jobs * minutes * (GROUPS.find((group) => group.jobs === jobs)?.seconds.length ?? 0);
  if (rows.length !== expected) throw new Error(`${expected} occurrences and ${rows.length} runs`);
  const what = jobs === 1 ? 'lag, one job' : `lag, ${jobs} jobs at once`;
  const lags = rows.map((row) => Number(row.ms));
  const figures = spread(what, lags, jobs === 1 ? { p99: 20 } : {});
  if (jobs < 1000) return figures;
  const lasts = Object.values(Object.groupBy(rows, (row) => row.at.toISOString())).map((group) =>
    Math.max(...(group ?? []).map((row) => Number(row.ms))),
  );
  const last = { what: `${what}: the last has started after`, unit: 's', value: median(lasts) / 1000 };
  return [...figures, { ...last, baseline: { what: 'execa, 2 processes', value: bareSeconds }, goal: { atMost: 1.3 } }];
}

async function measureRunNow(env: TestEnvironment, client: Client, options: Options): Promise<Figure[]> {
  const runs = options.number('runs', 200, 20);
  const job = await client('POST', '/job_api', { name: 'by hand', cron: '0 0 1 1 *', command: COMMAND });
  const { id } = job.object;
  const runOnce = async () => {
    const askedAtMs = Date.now();
    await client('POST', `/job_api/${id}/run_now`);
    await until(
      async () => (await env.query("SELECT id FROM jobs WHERE id = ? AND state = 'idle'", [id])).length === 1,
      'the end of its run',
    );
    const [row] = await env.query<{ ms: number }>(
      `SELECT stdout * 1000 AS ms FROM job_runs JOIN run_outputs ON run_id = id WHERE job_id = ? ORDER BY id DESC LIMIT 1`,
      [id],
    );
    return Number(row?.ms) - askedAtMs;
  };
  for (let warmUp = 0; warmUp < 10; warmUp++) await runOnce();
  const found: number[] = [];
  for (let run = 0; run < runs; run++) found.push(await runOnce());
  return spread('run_now, request to start', found, { p50: 10, p99: 30 });
}

function spread(what: string, ms: number[], goals: { p50?: number; p99?: number }): Figure[] {
  const line = (name: string, share: number, atMost?: number): Figure => ({
    what: `${what}: ${name} of ${ms.length}`,
    unit: 'ms',
    value: percentile(ms, share),
    ...(atMost !== undefined && { goal: { atMost } }),
  });
  return [line('p50', 0.5, goals.p50), line('p99', 0.99, goals.p99), line('max', 1)];
}
