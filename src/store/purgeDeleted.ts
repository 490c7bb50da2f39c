import { asc, eq, inArray, lt } from 'drizzle-orm';
import type { Database } from './database.ts';
import { deleteDeliveries } from './deliveries.ts';
import { deliveries, jobRuns, misfires, purges, runBlocks, runOutputs } from './schema.ts';

const BATCH = 500;
/** Batches in one tick: a job with a long history is worked off over many. */
const BATCHES_MAX = 20;

/**
 * Removes the history of deleted jobs by primary key in small batches: a delete by range locks gaps that claims insert
 * into. Only of jobs deleted before an instant, because the statistics have yet to count what the others ran. Returns the
 * runs removed.
 */
export async function purgeDeleted(db: Database, deletedBefore: Date): Promise<number> {
  let purged = 0;
  for (let batch = 0; batch < BATCHES_MAX; batch++) {
    const [purge] = await db
      .select()
      .from(purges)
      .where(lt(purges.createdAt, deletedBefore))
      .orderBy(asc(purges.jobId))
      .limit(1);
    if (!purge) return purged;
    purged += await purgeBatch(db, purge.jobId);
  }
  return purged;
}

async function purgeBatch(db: Database, jobId: number): Promise<number> {
  const runIds = await idsOf(db, jobRuns, jobId);
  if (runIds.length > 0) {
    await db.delete(runOutputs).where(inArray(runOutputs.runId, runIds));
    await db.delete(jobRuns).where(inArray(jobRuns.id, runIds));
    return runIds.length;
  }
  const misfireIds = await idsOf(db, misfires, jobId);
  const deliveryIds = await idsOf(db, deliveries, jobId);
  if (misfireIds.length > 0) await db.delete(misfires).where(inArray(misfires.id, misfireIds));
  else if (deliveryIds.length > 0) await deleteDeliveries(db, deliveryIds);
  else {
    await db.delete(runBlocks).where(eq(runBlocks.jobId, jobId));
    await db.delete(purges).where(eq(purges.jobId, jobId));
  }
  return 0;
}

async function idsOf(
  db: Database,
  table: typeof jobRuns | typeof misfires | typeof deliveries,
  jobId: number,
): Promise<number[]> {
  const rows = await db
    .select({ id: table.id })
    .from(table)
    .where(eq(table.jobId, jobId))
    .orderBy(asc(table.id))
    .limit(BATCH);
  return rows.map(({ id }) => id);
}
