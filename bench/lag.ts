import { setTimeout as delay } from 'node:timers/promises';
import type { TestEnvironment } from '../test/support/environment.ts';
import { until } from '../test/support/processes.ts';
import { runLoops } from './bareLoops.ts';
import { signIn, withoutToken } from './client.ts';
import { type BenchServers, withServers } from './environment.ts';
import { type Figure, median, type Options, percentile, type Scenario } from './scenario.ts';

/*
 * How late commands start, by their own clock: the first thing that each does is to print it, so what bash needs to get
 * there is counted. One worker with default settings, and for run_now an API.
 */
export const lag: Scenario = {
  about: 'how late commands start: one, 100 and 1,000 at an instant, and by run_now',
  minutes: 7,
  options: {
    minutes: { value: 5, quick: 1, least: 0, about: '0: run_now only' },
    runs: { value: 200, quick: 20, about: 'by run_now' },
  },
  measure: (options) =>
    withServers(options, async (servers) => {
      const env = await servers.createDatabase();
      const worker = await servers.start(env, 'worker');
      const minutes = options.number('minutes');
      const bySchedule = minutes > 0 ? await measureSchedules(env, minutes, options) : [];
      await worker.stop();
      return [...bySchedule, ...(await measureRunNow(servers, options))];
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

async function measureSchedules(env: TestEnvironment, minutes: number, options: Options): Promise<Figure[]> {
  const first = await schedule(env);
  const at = (minute: number, second: number) => delay(first + minute * 60_000 + second * 1000 - Date.now());
  options.say(`waiting for the full minute at ${new Date(first).toISOString().slice(11, 19)} …`);
  const bare: number[] = [];
  for (let minute = 0; minute < minutes; minute++) {
    for (const { jobs, seconds } of GROUPS) {
      const [second = '0'] = seconds;
      await at(minute, Number(second));
      const instants = seconds.map((one) => `:${one.padStart(2, '0')}`).join(', ');
      options.say(
        `minute ${minute + 1} of ${minutes}: ${jobs === 1 ? '1 job' : `${jobs} jobs at once`} at ${instants} …`,
      );
    }
    await at(minute, BARE_AT_SECOND);
    options.say(`minute ${minute + 1} of ${minutes}: 1000 starts by bare loops …`);
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

/** In turns with the least that does the same: the statements, a message each, and the start. Waits for the end of each run. */
async function measureRunNow(servers: BenchServers, options: Options): Promise<Figure[]> {
  const runs = options.number('runs');
  const runOnce = await prepareRunNow(servers, 'api', 'worker');
  const runBare = await prepareRunNow(servers, 'bareApi', 'bareWorker');
  for (let warmUp = 0; warmUp < 10; warmUp++) {
    await runOnce();
    await runBare();
  }
  options.say(`${runs} runs by hand …`);
  const found: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run < runs; run++) {
    found.push(await runOnce());
    bare.push(await runBare());
  }
  return [
    ...spread('run_now, request to start', found, { p50: 10, p99: 30 }),
    ...spread('the same by bare processes', bare, {}),
  ];
}

/** Returns what runs a job once and tells how many milliseconds after the request its command began. */
async function prepareRunNow(servers: BenchServers, api: 'api' | 'bareApi', worker: 'worker' | 'bareWorker') {
  const env = await servers.createDatabase();
  await servers.start(env, worker);
  const { url } = await servers.start(env, api);
  const [name, cron] = ['by hand', '0 0 1 1 *'];
  const client = api === 'api' ? await signIn(url) : withoutToken(url);
  const columns = 'user_id, name, name_key, command, cron, timezone, state';
  await env.query(`INSERT INTO jobs (${columns}) VALUES ?`, [[[ADMIN, name, name, COMMAND, cron, 'UTC', 'idle']]]);
  const [job] = await env.query<{ id: number }>('SELECT id FROM jobs WHERE name = ?', [name]);
  const id = job?.id;
  return async () => {
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
