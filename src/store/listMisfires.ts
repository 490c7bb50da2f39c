import { desc, eq } from 'drizzle-orm';
import type { Queryable } from './database.ts';
import { misfires } from './schema.ts';

export type MisfireRow = typeof misfires.$inferSelect;

/** A job's misfires, newest first, and how many there are. */
export async function listMisfires(
  db: Queryable,
  { jobId, limit, offset }: { jobId: number; limit: number; offset: number },
): Promise<{ misfires: MisfireRow[]; total: number }> {
  const condition = eq(misfires.jobId, jobId);
  const rows = await db.select().from(misfires).where(condition).orderBy(desc(misfires.id)).limit(limit).offset(offset);
  return { misfires: rows, total: await db.$count(misfires, condition) };
}
