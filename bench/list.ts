import type { TestEnvironment } from '../test/support/environment.ts';
import { signIn } from './client.ts';
import { withServers } from './environment.ts';
import { type Figure, median, type Scenario, timed } from './scenario.ts';

/*
 * What a page of jobs costs where a user has many: the route over HTTP against a bare indexed query of the same 25 rows, in
 * turns.
 */
export const list: Scenario = {
  about: 'a page of 100,000 jobs over HTTP against a bare indexed query of the same rows',
  minutes: 3,
  options: { jobs: { value: 100_000, quick: 5000, least: 25 }, requests: { value: 40, quick: 5 } },
  measure: (options) =>
    withServers(options, async (servers) => {
      const jobs = options.number('jobs');
      const requests = options.number('requests');
      const env = await servers.createDatabase();
      options.say(`filling a database with ${jobs.toLocaleString('en')} jobs of one user …`);
      await fill(env, jobs);
      const get = await signIn((await servers.start(env, 'api')).url);
      const figures: Figure[] = [];
      for (const { what, path, offset, where } of pagesOf(jobs)) {
        const sql = `SELECT * FROM jobs FORCE INDEX (jobs_list) WHERE user_id = ? ${where} ORDER BY next_run, id LIMIT 25 OFFSET ?`;
        const bare: number[] = [];
        const route: number[] = [];
        for (let request = 0; request < requests; request++) {
          bare.push(await timed(() => env.query(sql, [ADMIN, offset])));
          route.push(await timed(() => get('GET', path)));
        }
        figures.push({ what, unit: 'ms', value: median(route), baseline: { what: 'query', value: median(bare) } });
      }
      const folders: number[] = [];
      for (let request = 0; request < requests; request++) folders.push(await timed(() => get('GET', '/folder_api')));
      return [...figures, { what: 'five folders with their counts', unit: 'ms', value: median(folders) }];
    }),
};

const ADMIN = 2;

const PER_PAGE = 25;

/** A page far back is the 1000th, or the last where there are fewer. Four of five jobs are enabled. */
function pagesOf(jobs: number) {
  const far = Math.min(1000, Math.ceil(jobs / PER_PAGE));
  const farEnabled = Math.min(1000, Math.ceil((jobs * 0.8) / PER_PAGE));
  return [
    { what: 'page 1', path: '/job_api', offset: 0, where: '' },
    { what: `page ${far}`, path: `/job_api?page=${far}`, offset: (far - 1) * PER_PAGE, where: '' },
    { what: 'page 1, enabled', path: '/job_api?expression=enabled', offset: 0, where: 'AND enabled = TRUE' },
    {
      what: `page ${farEnabled}, enabled`,
      path: `/job_api?expression=enabled&page=${farEnabled}`,
      offset: (farEnabled - 1) * PER_PAGE,
      where: 'AND enabled = TRUE',
    },
    {
      what: 'page 1, tag:nightly name:backup',
      path: '/job_api?expression=tag:nightly+name:backup',
      offset: 0,
      where: "AND name LIKE '%backup%' AND id IN (SELECT job_id FROM job_tags WHERE tag_id = 1000)",
    },
    {
      what: 'page 1, an occurrence in a window',
      path: '/job_api?expression=start_date:2027-01-01+end_date:2027-01-02',
      offset: 0,
      where: "AND (timezone, cron) IN (('UTC', '*/5 * * * *'), ('UTC', '0 3 * * *'), ('UTC', '0 0 1 1 *'))",
    },
  ];
}

async function fill({ query }: TestEnvironment, jobs: number): Promise<void> {
  const batch = 5000;
  for (let from = 0; from < jobs; from += batch) {
    const rows = Array.from({ length: Math.min(batch, jobs - from) }, (_, index) => {
      const n = from + index;
      const cron = ['*/5 * * * *', '0 3 * * *', '0 0 1 1 *', '0 12 * * MON'][n % 4];
      const name = `${n % 10 === 0 ? 'backup' : 'report'} ${n}`;
      return [ADMIN, name, name, 'echo hi', cron, 'UTC', n % 5 > 0, new Date(Date.UTC(2027, 0, 1) + n * 1000)];
    });
    await query('INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, enabled, next_run) VALUES ?', [
      rows,
    ]);
  }
  await query("INSERT INTO tags (id, user_id, name, name_key) VALUES (1000, ?, 'nightly', 'nightly')", [ADMIN]);
  await query('INSERT INTO job_tags (job_id, tag_id) SELECT id, 1000 FROM jobs WHERE user_id = ? AND id % 20 = 0', [
    ADMIN,
  ]);
  await query('UPDATE users SET job_count = (SELECT COUNT(*) FROM jobs WHERE user_id = users.id)');
  await query('ANALYZE TABLE jobs');
}
