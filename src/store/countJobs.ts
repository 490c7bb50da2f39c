import { eq, type SQL, sql } from 'drizzle-orm';
import type { Term } from '../domain/search/term.ts';
import type { Queryable } from './database.ts';
import { matchingJobs } from './matchingJobs.ts';
import { jobs, users } from './schema.ts';
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

/**
 * Most jobs do not run, and have succeeded last: those that do not meet such a term are counted, and taken from those that meet
 * the others; in one statement, which sees one state of the database.
 */
async function count(db: Queryable, owner: Owner, terms: Term[]): Promise<number> {
  const usual = terms.find(isNotRunning) ?? terms.find(isNotFailed);
  const others = terms.filter((term) => term !== usual);
  const all = others.length === 0 ? sql`${users.jobCount}` : await countOf(db, owner, others);
  const value = usual ? sql`${all} - ${await countOf(db, owner, [...others, opposite(usual)])}` : all;
  const [row] = await db
    .select({ count: sql<number>`${value}`.mapWith(Number) })
    .from(users)
    .where(eq(users.id, owner.userId));
  return row?.count ?? 0;
}

const isNotRunning = ({ kind, negated }: Term) => kind === (negated ? 'running' : 'stopped');

const isNotFailed = ({ kind, negated }: Term) => kind === (negated ? 'failed' : 'succeeded');

const opposite = (term: Term): Term => ({ ...term, negated: !term.negated });

async function countOf(db: Queryable, owner: Owner, terms: Term[]): Promise<SQL> {
  const { index, where } = await matchingJobs(db, owner, terms);
  return sql`(${db.select({ count: sql`COUNT(*)` }).from(jobs, index).where(where)})`;
}

function keep(key: string, value: number): number {
  const [oldest] = counts.keys();
  if (counts.size >= COUNTS_MAX && oldest !== undefined) counts.delete(oldest);
  counts.set(key, value);
  return value;
}
