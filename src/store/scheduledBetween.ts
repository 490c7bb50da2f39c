import { and, asc, eq, gt, inArray, isNull, or, type SQL, sql } from 'drizzle-orm';
import { type Scheduled, scheduleOf } from '../domain/schedule.ts';
import type { Queryable } from './database.ts';
import { jobs } from './schema.ts';
import type { Owner } from './users.ts';

interface Between {
  from: Date;
  until: Date;
}

/**
 * The condition that a job of the user occurs between two instants, by its real occurrences. Jobs are many and schedules
 * are few: each different (zone, cron) is asked once, read in batches from an index. Jobs with bounds of their own are
 * asked one by one.
 */
export async function isScheduledBetween(
  db: Queryable,
  owner: Pick<Owner, 'userId' | 'jobsRevision'>,
  between: Between,
): Promise<SQL | undefined> {
  const pairs = await matchingPairs(db, owner, between);
  const bounded = await matchingBounded(db, owner.userId, between);
  const isUnbounded = and(isNull(jobs.startsAt), isNull(jobs.endsAt));
  const byZone = Map.groupBy(pairs, ({ timezone }) => timezone);
  const byPair = [...byZone].map(([timezone, group]) =>
    and(
      eq(jobs.timezone, timezone),
      inArray(
        jobs.cron,
        group.map(({ cron }) => cron),
      ),
    ),
  );
  return or(
    sql`FALSE`,
    byPair.length > 0 ? and(isUnbounded, or(...byPair)) : undefined,
    bounded.length > 0 ? inArray(jobs.id, bounded) : undefined,
  );
}

function occursBetween(job: Scheduled, { from, until }: Between): boolean {
  const first = scheduleOf(job).next(new Date(from.getTime() - 1));
  return first !== null && first <= until;
}

const BATCH = 1000;

interface Pair {
  timezone: string;
  cron: string;
}

/** The different schedules of the users who searched last, while no definition changes: to find them is a scan. */
const cache = new Map<number, { revision: number; pairs: Pair[] }>();
const CACHED_USERS_MAX = 100;

async function matchingPairs(
  db: Queryable,
  { userId, jobsRevision }: Pick<Owner, 'userId' | 'jobsRevision'>,
  between: Between,
): Promise<Pair[]> {
  const known = cache.get(userId);
  const first = known?.revision === jobsRevision ? known.pairs : await readPairs(db, userId, null);
  // Only those who have few are kept.
  if (first.length < BATCH) keep(userId, jobsRevision, first);
  const found: Pair[] = [];
  for (let pairs = first; ; pairs = await readPairs(db, userId, pairs.at(-1) ?? null)) {
    found.push(...pairs.filter((pair) => occursBetween({ ...pair, startsAt: null, endsAt: null }, between)));
    if (pairs.length < BATCH) return found;
  }
}

function keep(userId: number, revision: number, pairs: Pair[]): void {
  const [oldest] = cache.keys();
  if (cache.size >= CACHED_USERS_MAX && oldest !== undefined) cache.delete(oldest);
  cache.set(userId, { revision, pairs });
}

function readPairs(db: Queryable, userId: number, last: Pair | null): Promise<Pair[]> {
  const isAfter = last ? sql`(${jobs.timezone}, ${jobs.cron}) > (${last.timezone}, ${last.cron})` : undefined;
  return db
    .selectDistinct({ timezone: jobs.timezone, cron: jobs.cron })
    .from(jobs, { forceIndex: 'jobs_schedules' })
    .where(and(eq(jobs.userId, userId), isAfter))
    .orderBy(asc(jobs.timezone), asc(jobs.cron))
    .limit(BATCH);
}

const NEVER = new Date(0);

async function matchingBounded(db: Queryable, userId: number, between: Between): Promise<number[]> {
  const found: number[] = [];
  // As ranges, which the index serves; IS NOT NULL of either column is a scan.
  const isBounded = or(gt(jobs.startsAt, NEVER), and(isNull(jobs.startsAt), gt(jobs.endsAt, NEVER)));
  for (let lastId = 0; ; ) {
    const rows = await db
      .select({ id: jobs.id, cron: jobs.cron, timezone: jobs.timezone, startsAt: jobs.startsAt, endsAt: jobs.endsAt })
      .from(jobs, { forceIndex: 'jobs_bounded' })
      .where(and(eq(jobs.userId, userId), isBounded, gt(jobs.id, lastId)))
      .orderBy(asc(jobs.id))
      .limit(BATCH);
    found.push(...rows.filter((row) => occursBetween(row, between)).map(({ id }) => id));
    if (rows.length < BATCH) return found;
    lastId = rows.at(-1)?.id ?? lastId;
  }
}
