import { and, eq, sql } from 'drizzle-orm';
import type { Term } from '../domain/search/term.ts';
import type { Queryable } from './database.ts';
import { jobs } from './schema.ts';
import { conditionOf } from './search.ts';
import type { Owner } from './users.ts';

/**
 * Counts by definitions alone, which hold while the user's revision stays: an exact cache, of the newest ones. A count over
 * 100,000 jobs takes a hundred times as long as a page of them.
 */
const counts = new Map<string, number>();
const COUNTS_MAX = 1000;

/** How many of the user's jobs meet all terms. */
export async function countJobs(db: Queryable, owner: Owner, terms: Term[]): Promise<number> {
  if (terms.length === 0) return owner.jobCount;
  if (!terms.every(isOfDefinition)) return count(db, owner, terms);
  const key = JSON.stringify([owner.userId, owner.jobsRevision, terms]);
  return counts.get(key) ?? keep(key, await count(db, owner, terms));
}

const isOfDefinition = ({ kind }: Term) => !['running', 'stopped', 'succeeded', 'failed'].includes(kind);

async function count(db: Queryable, owner: Owner, terms: Term[]): Promise<number> {
  // Left to itself the database reads a million rows instead of the names in their index: 9 s instead of 0.4.
  const index = terms.every(({ kind }) => kind === 'name') ? { forceIndex: 'jobs_user_name' } : {};
  const [row] = await db
    .select({ count: sql<number>`COUNT(*)`.mapWith(Number) })
    .from(jobs, index)
    .where(and(eq(jobs.userId, owner.userId), await conditionOf(db, owner, terms)));
  return row?.count ?? 0;
}

function keep(key: string, value: number): number {
  const [oldest] = counts.keys();
  if (counts.size >= COUNTS_MAX && oldest !== undefined) counts.delete(oldest);
  counts.set(key, value);
  return value;
}
