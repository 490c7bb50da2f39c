import { and, asc, eq, inArray, lte, sql } from 'drizzle-orm';
import { HORIZON_MS } from '../domain/plan.ts';
import type { Database, Queryable } from './database.ts';
import { jobs } from './schema.ts';

/**
 * Marked rows that are overdue already stand locked in the claim's index until the commit, and every claim has to step over them.
 * Batches of 1000 were starved by forty claimers, some rows a second; of 100, 1000 rows took four seconds (two busy cores).
 */
const BATCH = 100;

/**
 * Promotes idle jobs whose next occurrence lies inside the horizon to due: `plan` as SQL. Returns how many. Two leaders
 * at once do no harm: they pass over each other's rows, and a row that is due already does not match.
 */
export async function markDue(db: Database): Promise<number> {
  let marked = 0;
  for (let batch = BATCH; batch === BATCH; marked += batch) batch = await db.transact(markBatch);
  return marked;
}

async function markBatch(tx: Queryable): Promise<number> {
  const rows = await tx
    .select({ id: jobs.id })
    .from(jobs, { forceIndex: 'jobs_mark' })
    .where(
      and(
        eq(jobs.state, 'idle'),
        eq(jobs.enabled, true),
        lte(jobs.nextRun, sql`UTC_TIMESTAMP(6) + INTERVAL ${HORIZON_MS * 1000} MICROSECOND`),
      ),
    )
    .orderBy(asc(jobs.nextRun))
    .limit(BATCH)
    .for('update', { skipLocked: true });
  if (rows.length === 0) return 0;
  await tx
    .update(jobs)
    .set({ state: 'due', dueAt: sql`${jobs.nextRun}`, trigger: 'schedule', attempt: 1 })
    .where(
      inArray(
        jobs.id,
        rows.map((row) => row.id),
      ),
    );
  return rows.length;
}
