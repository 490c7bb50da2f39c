import type { TestEnvironment } from '../test/support/environment.ts';
import { type Client, signIn } from './client.ts';
import type { BenchServers } from './environment.ts';
import type { Filled, History } from './scaleData.ts';
import { alternateAll, type Figure, median, type Options, timed } from './scenario.ts';

const PER_PAGE = 25;

/** Lists, searches and folders of the one user, over HTTP, at both sizes. */
export async function measureLists(
  options: Options,
  servers: BenchServers,
  { small, large }: { small: Filled; large: Filled },
): Promise<Figure[]> {
  const open = async ({ env, jobs }: Filled) => {
    const api = await servers.start(env, 'api');
    return { ...api, pages: pagesOf(await signIn(api.url), options, listPaths(jobs)) };
  };
  const [few, many] = [await open(small), await open(large)];
  const found = await alternateAll(options, { small: few.pages, large: many.pages });
  await Promise.all([few.stop(), many.stop()]);
  return compare(found, { prefix: 'jobs', baseline: '10,000 jobs' });
}

const listPaths = (jobs: number) => ({
  'first page': '/job_api',
  'last page': `/job_api?page=${Math.ceil(jobs / PER_PAGE)}`,
  'first page, enabled': '/job_api?expression=enabled',
  'last page, enabled': `/job_api?expression=enabled&page=${Math.floor((jobs * 0.8) / PER_PAGE)}`,
  'first page, failed': '/job_api?expression=failed',
  'first page, tag:nightly': '/job_api?expression=tag:nightly',
  'first page, name:backup': '/job_api?expression=name:backup',
  // One job of 10,000, and 280 of 1,000,000.
  'first page, name:9999': '/job_api?expression=name:9999',
  'first page, command:9999': '/job_api?expression=command:9999',
  'first page, running': '/job_api?expression=running',
  'first page, stopped': '/job_api?expression=stopped',
  'middle page': `/job_api?page=${Math.ceil(jobs / PER_PAGE / 2)}`,
  'five folders with counts': '/folder_api',
});

/** Pages of the runs of two jobs in one database, with totals, over HTTP. */
export async function measureRunPages(
  options: Options,
  servers: BenchServers,
  { env, few, many }: { env: TestEnvironment; few: History; many: History },
): Promise<Figure[]> {
  const api = await servers.start(env, 'api');
  const get = await signIn(api.url);
  const pages = async (history: History) => pagesOf(get, options, await runPaths(env, history));
  const found = await alternateAll(options, { small: await pages(few), large: await pages(many) });
  await api.stop();
  const baseline = `${few.runs.toLocaleString('en')} runs`;
  return compare(found, { prefix: 'runs', baseline, goal: { atMost: 2 } });
}

/** Half an hour in the middle of the history: 1800 runs of either job. */
async function runPaths({ query }: TestEnvironment, { jobId, runs }: History) {
  const [middle] = await query<{ from: string; until: string }>(
    `SELECT DATE_FORMAT(started_at, '%Y-%m-%dT%H:%i:%sZ') AS \`from\`,
       DATE_FORMAT(started_at + INTERVAL 30 MINUTE, '%Y-%m-%dT%H:%i:%sZ') AS until
     FROM job_runs WHERE job_id = ? ORDER BY id LIMIT 1 OFFSET ?`,
    [jobId, Math.floor(runs / 2) - 900],
  );
  const path = `/job_api/${jobId}/runs`;
  return {
    'first page': path,
    'middle page': `${path}?page=${Math.ceil(runs / PER_PAGE / 2)}`,
    'last page': `${path}?page=${Math.ceil(runs / PER_PAGE)}`,
    'first page, failed': `${path}?succeeded=false`,
    'last page, failed': `${path}?succeeded=false&page=${Math.ceil(runs / 50 / PER_PAGE)}`,
    'last page, succeeded': `${path}?succeeded=true&page=${Math.ceil((runs * 0.98) / PER_PAGE)}`,
    'first page of half an hour': `${path}?start_date=${middle?.from}&end_date=${middle?.until}`,
  };
}

/** A round: each page some times; medians. */
function pagesOf<Name extends string>(get: Client, options: Options, paths: Record<Name, string>) {
  const requests = options.number('requests');
  return async () => {
    const times: Record<string, number> = {};
    for (const [name, path] of Object.entries<string>(paths)) {
      const all: number[] = [];
      for (let request = 0; request < requests; request++) all.push(await timed(() => get('GET', path)));
      times[name] = median(all);
    }
    return times as Record<Name, number>;
  };
}

function compare(
  { small, large }: Record<'small' | 'large', Record<string, number>>,
  { prefix, baseline, goal }: { prefix: string; baseline: string; goal?: Figure['goal'] },
): Figure[] {
  return Object.entries(large).map(([name, value]) => ({
    what: `${prefix}: ${name}`,
    unit: 'ms',
    value,
    baseline: { what: baseline, value: small[name] ?? Number.NaN },
    ...(goal && { goal }),
  }));
}
