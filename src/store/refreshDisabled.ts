import { and, asc, eq, lte, sql } from 'drizzle-orm';
import { scheduleOf } from '../domain/schedule.ts';
import { type Database, readNowMs } from './database.ts';
import { jobs } from './schema.ts';

const BATCH = 500;

/**
 * Moves the next run of disabled jobs on that has passed: nobody claims them, and lists are in its order. Returns how many.
 * A job that is written meanwhile keeps what was written.
 */
export async function refreshDisabled(db: Database): Promise<number> {
  const { id, cron, timezone, startsAt, endsAt, nextRun } = jobs;
  const stale = await db
    .select({ id, cron, timezone, startsAt, endsAt, nextRun })
    .from(jobs, { forceIndex: 'jobs_mark' })
    .where(and(eq(jobs.state, 'idle'), eq(jobs.enabled, false), lte(jobs.nextRun, sql`UTC_TIMESTAMP(6)`)))
    .orderBy(asc(jobs.nextRun))
    .limit(BATCH);
  const now = new Date(await readNowMs(db));
  for (const job of stale) {
    if (!job.nextRun) continue;
    const isUnchanged = and(eq(jobs.id, job.id), eq(jobs.enabled, false), eq(jobs.nextRun, job.nextRun));
    await db
      .update(jobs)
      .set({ nextRun: nextOf(job, now) })
      .where(isUnchanged);
  }
  return stale.length;
}

/** Null also for a schedule that can no longer be read (a time zone that was dropped, say): it is not looked at again. */
function nextOf(job: Parameters<typeof scheduleOf>[0], now: Date): Date | null {
  try {
    return scheduleOf(job).next(now);
  } catch {
    return null;
  }
}
