import { eq, sql } from 'drizzle-orm';
import type { LegacyStatistics } from '../../domain/legacy.ts';
import { periodStart } from '../../domain/statistics.ts';
import { type Database, type Queryable, readNowMs } from '../database.ts';
import { jobStats, legacyIds, watermarks } from '../schema.ts';
import { noteJobs, type Rows, writeFromParts, writeFromRuns } from '../writeStatistics.ts';

/** `runs`, which decides, is written last: the assignments of an update are made in their order. */
const REPLACED = [
  'failed',
  'job_count',
  'duration_count',
  'duration_sum_ms',
  'duration_min_ms',
  'duration_max_ms',
  'lag_count',
  'lag_sum_ms',
  'lag_min_ms',
  'lag_max_ms',
  'total_jobs',
  'enabled_jobs',
  'runs',
];
const UPDATE = sql.join(
  REPLACED.map((column) => {
    const name = sql.identifier(column);
    return sql`${name} = IF(VALUES(runs) > runs, VALUES(${name}), ${name})`;
  }),
  sql`, `,
);

/** A period that is there already stays, unless the first BJR knew of more runs in it. */
export async function insertImportedStatistics(
  db: Queryable,
  rows: (LegacyStatistics & { userId: number })[],
): Promise<void> {
  if (rows.length === 0) return;
  const insert = db.insert(jobStats).values(rows).getSQL();
  await db.execute(sql`${insert} ON DUPLICATE KEY UPDATE ${UPDATE}`);
}

/** Minutes are looked at while they are new, and there may be millions. */
const MINUTES_MS = 2 * 86_400_000;

/**
 * Rolls up the runs that were taken over. Each row is computed anew from the runs and a period never shrinks, so it may be
 * repeated. Without a watermark the leader goes on from here, not from the oldest run: that may be years ago.
 */
export async function rollUpImported(db: Database): Promise<number> {
  const now = new Date(await readNowMs(db));
  const hours = await findPeriods(db, 'HOUR', 3_600_000, new Date(0));
  const minutes = await findPeriods(db, 'MINUTE', 60_000, new Date(now.getTime() - MINUTES_MS));
  for (const { start, userIds } of minutes) await writeFromRuns(db, { period: 'minute', start, userIds });
  for (const { start, userIds } of hours) await writeFromRuns(db, { period: 'hour', start, userIds });
  for (const { start, userIds } of group(hours, 'day')) await noteJobs(db, { period: 'day', start, userIds });
  for (const period of ['day', 'week'] as const) {
    for (const { start, userIds } of group(hours, period)) await writeFromParts(db, { period, start, userIds });
  }
  await db
    .insert(watermarks)
    .values({ name: 'statistics', reachedAt: now })
    .onDuplicateKeyUpdate({ set: { name: sql`${watermarks.name}` } });
  return hours.length;
}

type Part = Omit<Rows, 'period'>;

/** The minutes or hours in which runs that were taken over started, each with whose they are. */
async function findPeriods(db: Database, unit: 'HOUR' | 'MINUTE', lengthMs: number, from: Date): Promise<Part[]> {
  const [rows] = (await db.execute(sql`
    SELECT DISTINCT job_runs.user_id AS user_id, TIMESTAMPDIFF(${sql.raw(unit)}, '1970-01-01', job_runs.started_at) AS part
    FROM legacy_ids JOIN job_runs ON job_runs.id = legacy_ids.id
    WHERE ${eq(legacyIds.kind, 'run')} AND job_runs.started_at >= ${from}`)) as unknown as [
    { user_id: number; part: number }[],
  ];
  return [...Map.groupBy(rows, ({ part }) => part)]
    .toSorted(([a], [b]) => a - b)
    .map(([part, own]) => ({ start: new Date(part * lengthMs), userIds: own.map((row) => row.user_id) }));
}

function group(hours: Part[], period: 'day' | 'week'): Part[] {
  const byStart = Map.groupBy(hours, ({ start }) => periodStart(period, start).getTime());
  return [...byStart].map(([start, parts]) => ({
    start: new Date(start),
    userIds: [...new Set(parts.flatMap(({ userIds }) => userIds))],
  }));
}
