import { startApi } from '../test/support/api.ts';
import type { TestEnvironment } from '../test/support/environment.ts';
import { numberOption, percentile, withEnvironment } from './support.ts';

/*
 * What a page of jobs costs where a user has many: the route over HTTP against a bare indexed query of the same 25 rows, in
 * turns. `node bench/list.ts [--jobs 100000] [--rounds 40] [--mariadb]`
 */
const jobs = numberOption('jobs', 100_000);
const rounds = numberOption('rounds', 40);
const ADMIN = 2;

const PAGES = [
  { what: 'page 1', path: '/job_api', offset: 0, where: '' },
  { what: 'page 1000', path: '/job_api?page=1000', offset: 24_975, where: '' },
  { what: 'page 1, enabled', path: '/job_api?expression=enabled', offset: 0, where: 'AND enabled = TRUE' },
  {
    what: 'page 1000, enabled',
    path: '/job_api?expression=enabled&page=1000',
    offset: 24_975,
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

async function fill({ query }: TestEnvironment): Promise<void> {
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

await withEnvironment(async (env) => {
  console.log(`filling a database with ${jobs.toLocaleString()} jobs of one user …`);
  await fill(env);
  const api = await startApi(env);
  const signIn = { body: { username: 'admin', password: 'password1234' } };
  const { body } = await api.call('POST', '/authenticate', signIn);
  const headers = { authorization: String(body.auth_token) };
  // The tests' own call checks each answer against the description, which costs more than the answer.
  const get = (path: string) => fetch(api.url + path, { headers }).then((response) => response.text());
  console.log(
    `\n${'milliseconds, median'.padEnd(40)} ${'query'.padStart(8)} ${'route'.padStart(8)} ${'ratio'.padStart(6)}`,
  );
  for (const { what, path, offset, where } of PAGES) {
    const bare: number[] = [];
    const route: number[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(
        await timed(() =>
          env.query(
            `SELECT * FROM jobs FORCE INDEX (jobs_list) WHERE user_id = ? ${where} ORDER BY next_run, id LIMIT 25 OFFSET ?`,
            [ADMIN, offset],
          ),
        ),
      );
      route.push(await timed(() => get(path)));
    }
    print(what, percentile(bare, 0.5), percentile(route, 0.5));
  }
  const folders: number[] = [];
  for (let round = 0; round < rounds; round++) folders.push(await timed(() => get('/folder_api')));
  console.log(`five folders with their counts: ${percentile(folders, 0.5).toFixed(1)} ms`);
  await api.process.end('SIGTERM');
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function print(what: string, bare: number, route: number): void {
  const figures = [bare, route].map((ms) => ms.toFixed(1).padStart(8));
  console.log(`${what.padEnd(40)} ${figures.join(' ')} ${(route / bare).toFixed(2).padStart(6)}`);
}
