import { and, asc, desc, eq, gt, inArray, isNotNull, or, sql } from 'drizzle-orm';
import type { Database } from './database.ts';
import { deliveries, jobRuns, jobs, runOutputs } from './schema.ts';
import { unseal } from './sealRuns.ts';

/** Jobs looked at in one pass, and runs removed of each. */
const JOBS_MAX = 200;
const BATCH = 500;

export interface Pruned {
  runs: number;
  /** Where the next pass goes on; 0: from the first job again. */
  afterJobId: number;
}

/**
 * Removes what jobs do not want to keep of their finished runs, oldest first and by primary key, a batch a job; only runs that
 * started before an instant, because the statistics have yet to count the others.
 */
export async function pruneRuns(
  db: Database,
  { afterJobId, startedBefore }: { afterJobId: number; startedBefore: Date },
): Promise<Pruned> {
  const found = await findJobs(db, afterJobId);
  let runs = 0;
  for (const job of found) runs += await pruneJob(db, job, startedBefore);
  return { runs, afterJobId: found.length < JOBS_MAX ? 0 : (found.at(-1)?.id ?? 0) };
}

type Retention = Awaited<ReturnType<typeof findJobs>>[number];

function findJobs(db: Database, afterJobId: number) {
  const isLimited = or(gt(jobs.keepRuns, 0), and(eq(jobs.keepRuns, 0), gt(jobs.keepDays, 0)));
  return db
    .select({ id: jobs.id, keepRuns: jobs.keepRuns, keepDays: jobs.keepDays })
    .from(jobs, { forceIndex: 'jobs_retention' })
    .where(and(isLimited, gt(jobs.id, afterJobId)))
    .orderBy(asc(jobs.id))
    .limit(JOBS_MAX);
}

async function pruneJob(db: Database, job: Retention, startedBefore: Date): Promise<number> {
  const lastId = await lastBeyond(db, job);
  // Only the oldest are looked at: a condition on the age alone would read the whole history to find nothing.
  const oldest = await db
    .select({
      id: jobRuns.id,
      startedAt: jobRuns.startedAt,
      isOld: sql<number>`${jobRuns.finishedAt} < UTC_TIMESTAMP(6) - INTERVAL ${job.keepDays} DAY`,
    })
    .from(jobRuns)
    .where(and(eq(jobRuns.jobId, job.id), isNotNull(jobRuns.outcome)))
    .orderBy(asc(jobRuns.id))
    .limit(BATCH);
  const unwanted = oldest.filter(
    ({ id, startedAt, isOld }) => startedAt < startedBefore && (id <= lastId || (job.keepDays > 0 && isOld === 1)),
  );
  const ids = await withoutUntold(
    db,
    unwanted.map(({ id }) => id),
  );
  if (ids.length === 0) return 0;
  await db.delete(runOutputs).where(inArray(runOutputs.runId, ids));
  await db.transact(async (tx) => {
    await tx.select({ id: jobs.id }).from(jobs).where(eq(jobs.id, job.id)).for('update');
    await unseal(tx, job.id, Math.max(...ids));
    await tx.delete(jobRuns).where(inArray(jobRuns.id, ids));
  });
  return ids.length;
}

/** A run whose callback is still to be delivered is kept until it has been, or has been given up. */
async function withoutUntold(db: Database, ids: number[]): Promise<number[]> {
  if (ids.length === 0) return [];
  const isUntold = and(inArray(deliveries.runId, ids), eq(deliveries.state, 'pending'));
  const untold = await db.select({ runId: deliveries.runId }).from(deliveries).where(isUntold);
  const kept = new Set(untold.map(({ runId }) => runId));
  return ids.filter((id) => !kept.has(id));
}

/** The newest run beyond those that the job keeps; 0 where there is none. */
async function lastBeyond(db: Database, { id, keepRuns }: Retention): Promise<number> {
  if (keepRuns === 0) return 0;
  const [run] = await db
    .select({ id: jobRuns.id })
    .from(jobRuns)
    .where(and(eq(jobRuns.jobId, id), isNotNull(jobRuns.outcome)))
    .orderBy(desc(jobRuns.id))
    .limit(1)
    .offset(keepRuns);
  return run?.id ?? 0;
}
