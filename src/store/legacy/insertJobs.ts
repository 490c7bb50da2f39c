import { eq, inArray, sql } from 'drizzle-orm';
import type { LegacyJob } from '../../domain/legacy.ts';
import type { Misfire } from '../../domain/misfire.ts';
import { foldName } from '../../domain/name.ts';
import type { Standing } from '../../domain/plan.ts';
import type { Queryable } from '../database.ts';
import { insertMisfires } from '../insertMisfires.ts';
import { jobs, users } from '../schema.ts';
import { setTags } from '../tags.ts';
import { insertKeepingIds } from './ids.ts';

export interface ImportedJob {
  legacyId: number;
  userId: number;
  job: Omit<LegacyJob, 'legacyNextRun'>;
  tags: string[];
  nextRun: Date | null;
  standing: Standing;
  /** Occurrences that neither server ran, and never will. */
  misfire: Misfire | null;
}

/** The folded names of a user's jobs. */
export async function findJobNames(db: Queryable, userId: number): Promise<string[]> {
  const rows = await db.select({ key: jobs.nameKey }).from(jobs).where(eq(jobs.userId, userId));
  return rows.map(({ key }) => key);
}

/** Which of these jobs are there. */
export async function findJobs(db: Queryable, ids: number[]): Promise<Map<number, number>> {
  if (ids.length === 0) return new Map();
  const rows = await db.select({ id: jobs.id, userId: jobs.userId }).from(jobs).where(inArray(jobs.id, ids));
  return new Map(rows.map(({ id, userId }) => [id, userId]));
}

/** The users' rows are locked first, as by every creation of a job. */
export async function insertImportedJobs(tx: Queryable, imported: ImportedJob[]): Promise<Map<number, number>> {
  for (const [userId, own] of [...Map.groupBy(imported, (row) => row.userId)].toSorted(([a], [b]) => a - b)) {
    await tx
      .update(users)
      .set({ jobCount: sql`${users.jobCount} + ${own.length}`, jobsRevision: sql`${users.jobsRevision} + 1` })
      .where(eq(users.id, userId));
  }
  const rows = imported.map(({ legacyId, userId, job, nextRun, standing }) => ({
    legacyId,
    values: { userId, ...job, nameKey: foldName(job.name), nextRun, ...standing },
  }));
  const ids = await insertKeepingIds(tx, { kind: 'job', table: jobs, rows });
  for (const { legacyId, userId, job, tags, misfire } of imported) {
    const id = ids.get(legacyId) ?? legacyId;
    if (tags.length > 0) await setTags(tx, { id, userId }, tags);
    const policy = job.misfirePolicy;
    if (misfire) await insertMisfires(tx, [{ jobId: id, userId, reason: 'down', policy, ...misfire }]);
  }
  return ids;
}
