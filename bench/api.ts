import type { TestEnvironment } from '../test/support/environment.ts';
import { authenticate } from './client.ts';
import { withServers } from './environment.ts';
import { type Load, sendLoad } from './load.ts';
import { alternate, type Figure, median, type Options, type Scenario } from './scenario.ts';

/*
 * Requests a second to the API against a bare Hono app that makes the same statements and does nothing else (bareApi.ts), in
 * turns, from eight connections; and what a flood of sign-ins does to the others.
 */
export const api: Scenario = {
  about: 'requests a second against a bare app with the same SQL; the answers under a flood of sign-ins',
  minutes: 6,
  options: { jobs: { value: 10_000, quick: 500 }, requests: { value: 2000, quick: 200 } },
  measure: (options) =>
    withServers(options, async (servers) => {
      const env = await servers.createDatabase();
      options.say('filling a database …');
      await fill(env, options.number('jobs'));
      const settings = { LOGIN_ATTEMPTS_MAX: '10000' };
      const { url } = await servers.start(env, 'api', settings);
      const bare = (await servers.start(env, 'bareApi')).url;
      const token = await authenticate(url);
      const figures: Figure[] = [];
      for (const { what, goal, ...load } of ROUTES) {
        const ask = (server: string) => async () => {
          const count = options.number('requests');
          const found = await sendLoad({ clients: 8, count, token, ...load, url: server + load.path });
          return found.requestsPerSecond;
        };
        // The first requests of a process compile its code.
        await Promise.all([ask(url)(), ask(bare)()]);
        const found = await alternate(options, `requests/s for ${what}`, { bare: ask(bare), api: ask(url) });
        figures.push({
          what,
          unit: 'requests/s',
          value: found.api,
          baseline: { what: 'bare app', value: found.bare },
          ...(goal && { goal }),
        });
      }
      return [...figures, await measureFlood(options, url, token)];
    }),
};

const ADMIN = 2;
const JOB = 1000;
let serial = 0;
const newJob = () => ({ name: `made ${++serial}`, cron: '0 3 1 1 *', command: 'echo hi' });

type Route = Pick<Load, 'method' | 'expected' | 'body'> & { what: string; path: string; goal?: Figure['goal'] };

const ROUTES: Route[] = [
  { what: 'a page of 25 jobs', method: 'GET', path: '/job_api', expected: [200], goal: { atLeast: 0.6 } },
  { what: 'a page of 25 runs', method: 'GET', path: `/job_api/${JOB}/runs`, expected: [200] },
  { what: 'one job', method: 'GET', path: `/job_api/${JOB}`, expected: [200] },
  { what: 'a new job', method: 'POST', path: '/job_api', expected: [201], body: newJob },
];

/** The 99th percentile of a page of jobs, alone and while wrong passwords come as fast as they are refused. */
async function measureFlood(options: Options, url: string, token: string): Promise<Figure> {
  const page = async () => {
    const count = options.number('requests');
    const found = await sendLoad({ method: 'GET', url: `${url}/job_api`, token, clients: 2, count, expected: [200] });
    return found.p99Ms;
  };
  const [alone, flooded]: [number[], number[]] = [[], []];
  for (let round = 0; round < options.rounds; round++) {
    alone.push(await page());
    let isOver = false;
    const flood = (async () => {
      const body = () => ({ username: 'admin', password: `wrong ${++serial}` });
      while (!isOver)
        await sendLoad({
          method: 'POST',
          url: `${url}/authenticate`,
          body,
          clients: 8,
          count: 8,
          expected: [401, 429],
        });
    })();
    flooded.push(await page().finally(() => (isOver = true)));
    await flood;
  }
  return {
    what: 'p99 of a page of jobs under a flood of sign-ins',
    unit: 'ms',
    value: median(flooded),
    baseline: { what: 'without', value: median(alone) },
    goal: { atMost: 2 },
  };
}

export async function fill({ query }: TestEnvironment, jobs: number): Promise<void> {
  const rows = Array.from({ length: Math.max(jobs, JOB) }, (_, n) => {
    const name = `job ${n}`;
    return [ADMIN, name, name, 'echo hi', '0 3 1 1 *', 'UTC', new Date(Date.UTC(2031, 0, 1) + n * 1000)];
  });
  await query('INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, next_run) VALUES ?', [rows]);
  await query("INSERT INTO tags (id, user_id, name, name_key) VALUES (1000, ?, 'nightly', 'nightly')", [ADMIN]);
  await query('INSERT INTO job_tags (job_id, tag_id) SELECT id, 1000 FROM jobs WHERE user_id = ? AND id % 2 = 0', [
    ADMIN,
  ]);
  await query('UPDATE users SET job_count = (SELECT COUNT(*) FROM jobs WHERE user_id = users.id)');
  const runs = Array.from({ length: 500 }, (_, n) => {
    const at = new Date(Date.UTC(2026, 0, 1) + n * 60_000);
    return [n + 1, JOB, ADMIN, 'schedule', at, 1, 1, 'w', at, at, 'succeeded', 0, ''];
  });
  await query(
    `INSERT INTO job_runs (id, job_id, user_id, trigger_kind, scheduled_for, attempt, lease_token, worker_id, started_at,
       finished_at, outcome, return_code, error_message) VALUES ?`,
    [runs],
  );
  const outputs = runs.map(([id]) => [id, 'hi\n'.repeat(30), '', 90, 0, false, false]);
  await query(
    `INSERT INTO run_outputs (run_id, stdout, stderr, stdout_bytes, stderr_bytes, stdout_truncated, stderr_truncated) VALUES ?`,
    [outputs],
  );
  await query('ANALYZE TABLE jobs, job_runs');
}
