import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import { foldName } from '../domain/name.ts';
import type { Queryable } from './database.ts';
import { jobTags, tags } from './schema.ts';

/** Makes these the job's tags. New names become tags of the user; a tag without jobs stays for the next one. */
export async function setTags(tx: Queryable, job: { id: number; userId: number }, names: string[]): Promise<void> {
  await tx.delete(jobTags).where(eq(jobTags.jobId, job.id));
  if (names.length === 0) return;
  const rows = names.map((name) => ({ userId: job.userId, name, nameKey: foldName(name) }));
  await tx
    .insert(tags)
    .values(rows)
    .onDuplicateKeyUpdate({ set: { id: sql`${tags.id}` } });
  const keys = rows.map(({ nameKey }) => nameKey);
  const found = await tx
    .select({ id: tags.id })
    .from(tags)
    .where(and(eq(tags.userId, job.userId), inArray(tags.nameKey, keys)));
  await tx.insert(jobTags).values(found.map(({ id }) => ({ jobId: job.id, tagId: id })));
}

/** The tags of each of the jobs, in the order of their names. */
export async function findTags(db: Queryable, jobIds: number[]): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>(jobIds.map((id) => [id, []]));
  if (jobIds.length === 0) return found;
  const rows = await db
    .select({ jobId: jobTags.jobId, name: tags.name })
    .from(jobTags)
    .innerJoin(tags, eq(tags.id, jobTags.tagId))
    .where(inArray(jobTags.jobId, jobIds))
    .orderBy(asc(tags.nameKey));
  for (const { jobId, name } of rows) found.get(jobId)?.push(name);
  return found;
}
