import { asc, eq, sql } from 'drizzle-orm';
import { type Period, periodEnd, periodStart } from '../domain/statistics.ts';
import { type Database, readNowMs } from './database.ts';
import { jobRuns, watermarks } from './schema.ts';
import {
  addSilentPeriods,
  findRecorded,
  noteJobs,
  type Recorded,
  type Rows,
  writeFromParts,
  writeFromRuns,
} from './writeStatistics.ts';

/** A step: so much of the past is rolled up at once. */
const STEP_MS = 3_600_000;
/** Steps of one pass: after three days without a leader statistics are complete again within a quarter of an hour. */
const STEPS_MAX = 6;
/** A recording takes its instant some moments before its transaction commits. Rolling up twice does no harm. */
const OVERLAP_MS = 30_000;
const WATERMARK = 'statistics';

/**
 * Brings the statistics up to date with the runs recorded since the last pass, whenever they had started, and writes rows
 * for the periods in which nothing ran. Every step computes its rows anew from the runs and moves the watermark last, so it
 * may be repeated, interrupted, or done by two leaders at once. Returns the steps done.
 */
export async function rollUp(db: Database): Promise<number> {
  const now = new Date(await readNowMs(db));
  let reached = await readWatermark(db, now);
  let steps = 0;
  for (; steps < STEPS_MAX && reached < now; steps++) {
    const until = new Date(Math.min(reached.getTime() + STEP_MS, now.getTime()));
    await rollUpStep(db, { from: reached, until });
    await moveWatermark(db, until);
    reached = until;
  }
  return steps;
}

/**
 * Runs that started before it are in the statistics for good, and may be removed: the hour that holds them is over, and has been
 * counted. Null before the first pass.
 */
export async function countedBefore(db: Database): Promise<Date | null> {
  const [watermark] = await db.select().from(watermarks).where(eq(watermarks.name, WATERMARK));
  return watermark ? periodStart('hour', new Date(watermark.reachedAt.getTime() - OVERLAP_MS)) : null;
}

interface Step {
  from: Date;
  until: Date;
}

async function rollUpStep(db: Database, { from, until }: Step): Promise<void> {
  const recorded = await findRecorded(db, { from: new Date(from.getTime() - OVERLAP_MS), until });
  for (const rows of touched(recorded, ['minute', 'hour'])) await writeFromRuns(db, rows);
  for (const minute of touched(recorded, ['minute'])) await noteJobs(db, minute);
  for (const rows of touched(recorded, ['day', 'week'])) await writeFromParts(db, rows);
  for (const period of ['minute', 'hour', 'day', 'week'] as const) {
    for (let start = periodStart(period, from); start < until; start = periodEnd(period, start)) {
      if (period !== 'minute' || periodEnd(period, start) <= until) await addSilentPeriods(db, period, start);
    }
  }
}

/** The periods in which something was recorded, days before the weeks that they are part of. */
function touched(recorded: Recorded[], periods: Period[]): Rows[] {
  return periods.flatMap((period) => {
    const byStart = Map.groupBy(recorded, ({ minute }) => periodStart(period, minute).getTime());
    return [...byStart].map(([start, rows]) => ({
      period,
      start: new Date(start),
      userIds: [...new Set(rows.map(({ userId }) => userId))],
    }));
  });
}

/** Where there is none yet, statistics begin with the first run. */
async function readWatermark(db: Database, now: Date): Promise<Date> {
  const [watermark] = await db.select().from(watermarks).where(eq(watermarks.name, WATERMARK));
  if (watermark) return watermark.reachedAt;
  const [first] = await db.select({ at: jobRuns.updatedAt }).from(jobRuns).orderBy(asc(jobRuns.updatedAt)).limit(1);
  return first?.at ?? new Date(now.getTime() - 60_000);
}

/** It never goes back: two leaders may have different views of how far it is. */
async function moveWatermark(db: Database, reachedAt: Date): Promise<void> {
  await db
    .insert(watermarks)
    .values({ name: WATERMARK, reachedAt })
    .onDuplicateKeyUpdate({ set: { reachedAt: sql`GREATEST(${watermarks.reachedAt}, ${reachedAt})` } });
}
