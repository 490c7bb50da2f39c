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

/**
 * The names of a job's tags, in their order, as a column beside the job's own. The names of tables are written out: drizzle
 * leaves them away where a statement has one table only.
 */
export const tagNames = sql<string[]>`(
  SELECT COALESCE(JSON_ARRAYAGG(tags.name), JSON_ARRAY()) FROM job_tags JOIN tags ON tags.id = job_tags.tag_id
  WHERE job_tags.job_id = jobs.id
)`.mapWith((value: string[] | string) => readNames(value).toSorted((a, b) => compare(foldName(a), foldName(b))));

/** MariaDB's JSON is text. */
function readNames(value: string[] | string): string[] {
  return typeof value === 'string' ? JSON.parse(value) : value;
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));

export interface CountedTag {
  id: number;
  name: string;
  jobCount: number;
}

/** A page of the user's tags by name, each with the number of its jobs, and how many tags there are. */
export async function listTags(
  db: Queryable,
  { userId, limit, offset }: { userId: number; limit: number; offset: number },
): Promise<{ tags: CountedTag[]; total: number }> {
  const condition = eq(tags.userId, userId);
  const jobCount = sql<number>`(SELECT COUNT(*) FROM job_tags WHERE job_tags.tag_id = tags.id)`;
  const found = await db
    .select({ id: tags.id, name: tags.name, jobCount })
    .from(tags)
    .where(condition)
    .orderBy(asc(tags.nameKey))
    .limit(limit)
    .offset(offset);
  return { tags: found, total: await db.$count(tags, condition) };
}
