import { and, eq, inArray, isNotNull, isNull, sql } from 'drizzle-orm';
import { affectedRows, type Database, type Queryable } from './database.ts';
import { jobRuns } from './schema.ts';

/**
 * Notes that the user of a run under way wants it ended. False: it has ended. Matched by the run alone: whichever worker
 * holds it, or takes it up, looks here.
 */
export async function requestCancel(db: Queryable, runId: number): Promise<boolean> {
  const result = await db
    .update(jobRuns)
    .set({ cancelRequestedAt: sql`COALESCE(${jobRuns.cancelRequestedAt}, UTC_TIMESTAMP(6))` })
    .where(and(eq(jobRuns.id, runId), isNull(jobRuns.outcome)));
  return affectedRows(result) === 1;
}

/** Those of the runs under way that are to be ended. */
export async function findCanceled(db: Database, runIds: number[]): Promise<number[]> {
  if (runIds.length === 0) return [];
  const rows = await db
    .select({ id: jobRuns.id })
    .from(jobRuns)
    .where(and(inArray(jobRuns.id, runIds), isNotNull(jobRuns.cancelRequestedAt), isNull(jobRuns.outcome)));
  return rows.map(({ id }) => id);
}
