import { and, asc, desc, eq, gt, inArray, lte, sql } from 'drizzle-orm';
import { affectedRows, type Database, type Queryable } from './database.ts';
import { jobRuns, jobs, runBlocks } from './schema.ts';

/** Runs in a block. A page of 5,000,000 runs reads 2,500 blocks and counts what is not in one: 3 ms. */
const BLOCK_RUNS = 2000;
/** Blocks made in one pass: at a pass a minute, those of 8,000 runs a second. */
const BLOCKS_MAX = 240;
/** Jobs looked at in one pass, whether or not they ran. */
const JOBS_MAX = 200;
/** A job is looked at once in so many of its runs, on average. */
const SAMPLED = 1000;

export interface Sealed {
  blocks: number;
  /** Where the next pass goes on; 0: from the first job again. */
  afterJobId: number;
}

/**
 * Puts ended runs that are in no block yet into blocks (schema.ts), full ones only. Looks at the jobs of a sample of what was
 * recorded in the last minutes, by a hash of the run's id, and besides at all jobs in their turn: those of a history that was
 * made elsewhere. It may be late, interrupted or repeated: runs that no block covers are counted when a page is read.
 */
export async function sealRuns(
  db: Database,
  { afterJobId, blockRuns = BLOCK_RUNS }: { afterJobId: number; blockRuns?: number },
): Promise<Sealed> {
  const inTurn = await db
    .select({ id: jobs.id })
    .from(jobs)
    .where(gt(jobs.id, afterJobId))
    .orderBy(asc(jobs.id))
    .limit(JOBS_MAX);
  const sampled = await db
    .selectDistinct({ id: jobRuns.jobId })
    .from(jobRuns, { forceIndex: 'job_runs_changed' })
    .where(
      and(gt(jobRuns.updatedAt, sql`UTC_TIMESTAMP(6) - INTERVAL 2 MINUTE`), sql`CRC32(${jobRuns.id}) % ${SAMPLED} = 0`),
    );
  let blocks = 0;
  const candidates = new Set([...inTurn, ...sampled].map(({ id }) => id));
  for (const jobId of await withFullBlock(db, [...candidates], blockRuns)) {
    while (blocks < BLOCKS_MAX && (await sealNext(db, jobId, blockRuns))) blocks++;
  }
  return { blocks, afterJobId: inTurn.length < JOBS_MAX ? 0 : (inTurn.at(-1)?.id ?? 0) };
}

/** Those of the jobs with enough runs for another block, some at a time; read from indexes alone. */
async function withFullBlock(db: Database, jobIds: number[], blockRuns: number): Promise<number[]> {
  const found: number[] = [];
  for (let from = 0; from < jobIds.length; from += JOBS_MAX) {
    const last = sql<number | null>`(
      SELECT last_id FROM run_blocks WHERE run_blocks.job_id = jobs.id ORDER BY first_id DESC LIMIT 1)`;
    const sealed = await db
      .select({ id: jobs.id, last })
      .from(jobs)
      .where(inArray(jobs.id, jobIds.slice(from, from + JOBS_MAX)));
    // Constants: by what it reads from another table the database would go through the whole history.
    const nths = sealed.map(
      (job) => sql`(SELECT job_id AS id FROM job_runs FORCE INDEX (job_runs_list)
        WHERE job_id = ${job.id} AND id > ${job.last ?? 0} ORDER BY job_runs.id LIMIT 1 OFFSET ${blockRuns - 1})`,
    );
    if (nths.length === 0) continue;
    const [rows] = (await db.execute(sql.join(nths, sql` UNION ALL `))) as unknown as [{ id: number }[]];
    found.push(...rows.map(({ id }) => id));
  }
  return found;
}

/**
 * The job's next block; false where it is not full yet, or a run in it is still under way. Who changes a history that has been
 * sealed locks the job's row too: pruning, and the import of older runs.
 */
function sealNext(db: Database, jobId: number, blockRuns: number): Promise<boolean> {
  return db.transact(async (tx) => {
    const [job] = await tx.select({ id: jobs.id }).from(jobs).where(eq(jobs.id, jobId)).for('update');
    if (!job) return false;
    const [last] = await tx
      .select({ id: runBlocks.lastId })
      .from(runBlocks)
      .where(eq(runBlocks.jobId, jobId))
      .orderBy(desc(runBlocks.firstId))
      .limit(1);
    const inserted = await tx.execute(sql`
      INSERT INTO run_blocks (job_id, first_id, last_id, run_count, succeeded_count, started_from, started_until,
        finished_from, finished_until)
      SELECT ${jobId}, MIN(id), MAX(id), COUNT(*), SUM(outcome = 'succeeded'), MIN(started_at), MAX(started_at),
        MIN(finished_at), MAX(finished_at)
      FROM (
        SELECT id, outcome, started_at, finished_at FROM job_runs FORCE INDEX (job_runs_list)
        WHERE job_id = ${jobId} AND id > ${last?.id ?? 0} ORDER BY id LIMIT ${blockRuns}
      ) AS unsealed
      HAVING COUNT(outcome) = ${blockRuns} AND COUNT(finished_at) = ${blockRuns}`);
    return affectedRows(inserted) === 1;
  });
}

/** Takes up what was sealed until a run, in the transaction that removes or adds runs there; the job's row is locked. */
export async function unseal(tx: Queryable, jobId: number, untilRunId: number): Promise<void> {
  await tx.delete(runBlocks).where(and(eq(runBlocks.jobId, jobId), lte(runBlocks.firstId, untilRunId)));
}
