import { and, eq, inArray, isNotNull, ne, not, type SQL, sql } from 'drizzle-orm';
import { foldName, foldText } from '../domain/name.ts';
import type { Condition, Term } from '../domain/search/term.ts';
import { canonicalZone } from '../domain/timezone.ts';
import type { Queryable } from './database.ts';
import { isScheduledBetween } from './scheduledBetween.ts';
import { jobs, jobTags, tags } from './schema.ts';
import type { Owner } from './users.ts';

/** A search expression's terms as a condition on the user's jobs; undefined where it has none. */
export async function conditionOf(
  db: Queryable,
  owner: Pick<Owner, 'userId' | 'jobsRevision'>,
  terms: Term[],
): Promise<SQL | undefined> {
  const conditions: (SQL | undefined)[] = [];
  for (const term of terms) {
    const condition = await translate(db, owner, term);
    conditions.push(term.negated && condition ? not(condition) : condition);
  }
  return and(...conditions);
}

async function translate(
  db: Queryable,
  owner: Pick<Owner, 'userId' | 'jobsRevision'>,
  term: Condition,
): Promise<SQL | undefined> {
  const { userId } = owner;
  switch (term.kind) {
    case 'name':
      // The folded name: an index holds it, so no row is read to count.
      return contains(sql`${jobs.nameKey}`, foldText(term.text));
    case 'command':
      return contains(sql`${jobs.command}`, term.text);
    case 'timezone':
      return inArray(jobs.timezone, await namesInUse(db, userId, term.zone));
    case 'tags':
      return isTagged(userId, term);
    case 'running':
      return eq(jobs.state, 'leased');
    case 'stopped':
      return ne(jobs.state, 'leased');
    case 'enabled':
      return eq(jobs.enabled, true);
    case 'disabled':
      return eq(jobs.enabled, false);
    // A job that never ran has no success, and so did not fail either, also where that is negated. Not `<=>`, whose negation no
    // index serves.
    case 'succeeded':
      return and(isNotNull(jobs.success), eq(jobs.success, true));
    case 'failed':
      return and(isNotNull(jobs.success), eq(jobs.success, false));
    case 'between':
      return isScheduledBetween(db, owner, term);
  }
}

/** `|` escapes: a backslash's meaning depends on the SQL mode. */
function contains(column: SQL, text: string): SQL {
  const pattern = `%${text.replaceAll(/[|%_]/g, '|$&')}%`;
  return sql`${column} LIKE ${pattern} ESCAPE '|'`;
}

/** The names under which the user's jobs store this zone. */
async function namesInUse(db: Queryable, userId: number, zone: string): Promise<string[]> {
  const rows = await db.selectDistinct({ name: jobs.timezone }).from(jobs).where(eq(jobs.userId, userId));
  return rows.map(({ name }) => name).filter((name) => canonicalZone(name) === zone);
}

function isTagged(userId: number, { match, names }: Extract<Condition, { kind: 'tags' }>): SQL | undefined {
  const keys = [...new Set(names.map(foldName))];
  const wanted = sql`SELECT ${tags.id} FROM ${tags} WHERE ${and(eq(tags.userId, userId), inArray(tags.nameKey, keys))}`;
  const tagged = sql`SELECT ${jobTags.jobId} FROM ${jobTags} WHERE ${jobTags.tagId} IN (${wanted})`;
  if (match === 'any') return sql`${jobs.id} IN (${tagged})`;
  if (match === 'none') return sql`${jobs.id} NOT IN (${tagged})`;
  return and(
    sql`${jobs.id} IN (${tagged})`,
    sql`${countTags(sql`job_tags.tag_id IN (${wanted})`)} = ${keys.length}`,
    sql`${countTags(sql`TRUE`)} = ${keys.length}`,
  );
}

/** Of the job in the statement around it. */
const countTags = (condition: SQL) =>
  sql`(SELECT COUNT(*) FROM job_tags WHERE job_tags.job_id = jobs.id AND ${condition})`;
