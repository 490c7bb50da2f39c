import { and, asc, desc, eq, gte, inArray, lt, lte, sql } from 'drizzle-orm';
import type { Period } from '../domain/statistics.ts';
import type { Database, Queryable } from './database.ts';
import { jobStatJobs, jobStats } from './schema.ts';

export type JobStat = typeof jobStats.$inferSelect;

export interface StatQuery {
  userId: number;
  period: Period;
  /** Periods that begin at or after it, and end at or before the other. */
  from?: Date | undefined;
  until?: Date | undefined;
}

/** A page of a user's statistics, oldest first, and how many rows there are. */
export async function listStatistics(
  db: Queryable,
  query: StatQuery,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ rows: JobStat[]; total: number }> {
  const condition = conditionOf(query);
  const rows = await db
    .select()
    .from(jobStats)
    .where(condition)
    .orderBy(asc(jobStats.startAt))
    .limit(limit)
    .offset(offset);
  return { rows, total: await db.$count(jobStats, condition) };
}

/** The start of the nth newest row; undefined where there are fewer. */
export async function findNthNewest(db: Queryable, query: StatQuery, n: number): Promise<Date | undefined> {
  const [row] = await db
    .select({ startAt: jobStats.startAt })
    .from(jobStats)
    .where(conditionOf(query))
    .orderBy(desc(jobStats.startAt))
    .limit(1)
    .offset(n - 1);
  return row?.startAt;
}

const conditionOf = ({ userId, period, from, until }: StatQuery) =>
  and(
    eq(jobStats.userId, userId),
    eq(jobStats.period, period),
    from && gte(jobStats.startAt, from),
    until && lte(jobStats.endAt, until),
  );

/** Days for which the finer statistics are kept; days and weeks are for ever. */
const KEPT_DAYS = { minute: 8, hour: 100 };
const JOBS_KEPT_DAYS = { day: 10, week: 20 };
const BATCH = 1000;

/** Forgets fine statistics past their time, a batch a pass by primary key. Returns how many rows. */
export async function pruneStatistics(db: Database): Promise<number> {
  let pruned = 0;
  for (const [period, days] of Object.entries(KEPT_DAYS)) pruned += await pruneRows(db, period as Period, days);
  for (const [period, days] of Object.entries(JOBS_KEPT_DAYS)) {
    await db
      .delete(jobStatJobs)
      .where(and(eq(jobStatJobs.period, period as Period), lt(jobStatJobs.startAt, daysAgo(days))))
      .limit(BATCH);
  }
  return pruned;
}

async function pruneRows(db: Database, period: Period, days: number): Promise<number> {
  const rows = await db
    .select({ id: jobStats.id })
    .from(jobStats)
    .where(and(eq(jobStats.period, period), lt(jobStats.startAt, daysAgo(days))))
    .orderBy(asc(jobStats.startAt))
    .limit(BATCH);
  const ids = rows.map(({ id }) => id);
  if (ids.length > 0) await db.delete(jobStats).where(inArray(jobStats.id, ids));
  return ids.length;
}

const daysAgo = (days: number) => sql`UTC_TIMESTAMP(6) - INTERVAL ${days} DAY`;
