import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import { type Period, slopeOf } from '../domain/statistics.ts';
import type { WorkerCommand, WorkerCommands } from '../redis/workerCommands.ts';
import type { Heartbeat, WorkerRegistry } from '../redis/workers.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import { type Job, listRecent, listUpcoming } from '../store/jobs.ts';
import { findNthNewest, type JobStat, listStatistics, type StatQuery } from '../store/statistics.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

/** Periods that are shown where no start is named. */
const SHOWN: Record<Period, number> = { minute: 60, hour: 24, day: 7, week: 4 };

interface StatRequest {
  period: Period;
  from?: Date | undefined;
  until?: Date | undefined;
  page: Page;
}

/** The caller's statistics, oldest first; without a start the last hour of minutes, 24 hours, 7 days or 4 weeks. */
export async function getStatistics(
  { db }: ServiceParts,
  { userId }: Caller,
  { period, from, until, page }: StatRequest,
): Promise<{ rows: JobStat[]; total: number }> {
  const query: StatQuery = { userId, period, from, until };
  const since = from ?? (await findNthNewest(db, query, SHOWN[period]));
  return listStatistics(db, { ...query, from: since }, page);
}

export interface Measure {
  value: number;
  trend: number;
}

export type TodaysStatistics = Record<
  'totalJobs' | 'enabledJobs' | 'runs' | 'failed' | `${'avg' | 'max' | 'min'}${'Runtime' | 'Lag'}`,
  Measure
>;

const MINUTES_OF_A_DAY_MAX = 25 * 60 + 1;

/** What the minutes since an instant amount to; each trend is the slope over those minutes. Seconds. */
export async function getTodaysStatistics(
  { db }: ServiceParts,
  { userId }: Caller,
  since: Date,
): Promise<TodaysStatistics> {
  const all = { limit: MINUTES_OF_A_DAY_MAX, offset: 0 };
  const { rows } = await listStatistics(db, { userId, period: 'minute', from: since }, all);
  const measure = (value: number, ofMinute: (row: JobStat) => number): Measure => ({
    value,
    trend: slopeOf(rows.map(ofMinute)),
  });
  const sum = (of: (row: JobStat) => number) => rows.reduce((total, row) => total + of(row), 0);
  const greatest = (of: (row: JobStat) => number) => Math.max(0, ...rows.map(of));
  const least = (of: (row: JobStat) => number, count: (row: JobStat) => number) =>
    Math.min(...rows.filter((row) => count(row) > 0).map(of));
  const last = rows.at(-1);
  return {
    totalJobs: measure(last?.totalJobs ?? 0, (row) => row.totalJobs),
    enabledJobs: measure(last?.enabledJobs ?? 0, (row) => row.enabledJobs),
    runs: measure(sum(runsOf), runsOf),
    failed: measure(sum(failedOf), failedOf),
    avgRuntime: measure(
      ratio(
        sum((row) => row.durationSumMs),
        sum(durationCountOf),
      ),
      averageRuntimeOf,
    ),
    maxRuntime: measure(greatest(maxRuntimeOf), maxRuntimeOf),
    minRuntime: measure(finite(least(minRuntimeOf, durationCountOf)), minRuntimeOf),
    avgLag: measure(
      ratio(
        sum((row) => row.lagSumMs),
        sum(lagCountOf),
      ),
      averageLagOf,
    ),
    maxLag: measure(greatest(maxLagOf), maxLagOf),
    minLag: measure(finite(least(minLagOf, lagCountOf)), minLagOf),
  };
}

const runsOf = (row: JobStat) => row.runs;
const failedOf = (row: JobStat) => row.failed;
const durationCountOf = (row: JobStat) => row.durationCount;
const lagCountOf = (row: JobStat) => row.lagCount;
const maxRuntimeOf = (row: JobStat) => row.durationMaxMs / 1000;
const minRuntimeOf = (row: JobStat) => row.durationMinMs / 1000;
const maxLagOf = (row: JobStat) => row.lagMaxMs / 1000;
const minLagOf = (row: JobStat) => row.lagMinMs / 1000;
export const averageRuntimeOf = (row: JobStat) => ratio(row.durationSumMs, row.durationCount);
export const averageLagOf = (row: JobStat) => ratio(row.lagSumMs, row.lagCount);

/** Milliseconds over a count, as seconds; 0 where there is nothing. */
function ratio(sumMs: number, count: number): number {
  return count === 0 ? 0 : sumMs / count / 1000;
}

const finite = (value: number) => (Number.isFinite(value) ? value : 0);

const COUNT_MAX = 20;
const COUNT_DEFAULT = 10;

/** The number of jobs asked for. @throws {AppError} count_too_large, for more than 20 */
function limitOf(count: number | null): number {
  if (count !== null && count > COUNT_MAX) throw new AppError({ code: 'count_too_large' });
  return count ?? COUNT_DEFAULT;
}

export function getRecentJobs({ db }: ServiceParts, { userId }: Caller, count: number | null): Promise<Job[]> {
  return listRecent(db, userId, limitOf(count));
}

export function getUpcomingJobs({ db }: ServiceParts, { userId }: Caller, count: number | null): Promise<Job[]> {
  return listUpcoming(db, userId, limitOf(count));
}

export interface FleetParts extends Pick<ServiceParts, 'db'> {
  registry: WorkerRegistry;
  workerCommands: WorkerCommands;
}

/** All living workers. @throws {AppError} redis_away */
export async function getWorkers({ registry }: Pick<FleetParts, 'registry'>): Promise<Heartbeat[]> {
  const workers = await registry.list();
  if (!workers) throw new AppError({ code: 'redis_away' });
  return workers;
}

/** Only root stops workers: who may quiesce them leaves them running, and can take it back. */
export async function commandWorkers(
  parts: FleetParts,
  caller: Caller,
  { host, command }: { host: string | undefined; command: WorkerCommand },
): Promise<void> {
  if (command === 'stop' && !caller.isRoot) throw new AppError({ code: 'root_required' });
  if (!host) throw new AppError({ code: 'host_missing' });
  const workers = await getWorkers(parts);
  if (!workers.some((worker) => worker.host === host)) {
    const hosts = [...new Set(workers.map((worker) => worker.host))].toSorted();
    throw new AppError({ code: 'host_not_found', host: host.slice(0, 100), hosts });
  }
  // Before they are told: Redis has no part in a transaction, and what was done must not be missing from the log.
  const change = { operation: command, kind: 'workers', objectId: null, before: null, after: { host } } as const;
  await insertAuditEntry(parts.db, caller, change);
  if (!(await parts.workerCommands.send({ host, command }))) throw new AppError({ code: 'redis_away' });
  await awaitEffect(parts, host, command !== 'resume');
}

const EFFECT_POLL_MS = 50;
const EFFECT_POLLS_MAX = 40;

/** Workers beat when they are told: the answer waits for that, but not for ever. */
async function awaitEffect(parts: FleetParts, host: string, isQuiet: boolean): Promise<void> {
  for (let poll = 0; poll < EFFECT_POLLS_MAX; poll++) {
    const workers = (await parts.registry.list()) ?? [];
    if (workers.every((worker) => worker.host !== host || worker.isQuiet === isQuiet)) return;
    await delay(EFFECT_POLL_MS);
  }
}
