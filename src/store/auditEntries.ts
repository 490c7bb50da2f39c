import { and, asc, desc, eq, gte, inArray, lt, lte, type SQL, sql } from 'drizzle-orm';
import type { Actor, AuditKind, Change } from '../domain/audit.ts';
import type { Database, Queryable } from './database.ts';
import { auditEntries } from './schema.ts';

export type AuditEntry = typeof auditEntries.$inferSelect;

/** Notes a change, in the transaction that makes it and by the database's clock: neither is there without the other. */
export async function insertAuditEntry(tx: Queryable, actor: Actor, change: Change): Promise<void> {
  const { userId, username, address } = actor;
  await tx.insert(auditEntries).values({ userId, username, address, ...change });
}

export interface AuditFilter {
  userId?: number | undefined;
  kind?: AuditKind | undefined;
  objectId?: number | undefined;
  from?: Date | undefined;
  until?: Date | undefined;
}

/** A page of the entries that match, newest first, and how many match. */
export async function listAuditEntries(
  db: Queryable,
  filter: AuditFilter,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ entries: AuditEntry[]; total: number }> {
  const condition = conditionOf(filter);
  const entries = await db
    .select()
    .from(auditEntries)
    .where(condition)
    .orderBy(desc(auditEntries.createdAt), desc(auditEntries.id))
    .limit(limit)
    .offset(offset);
  return { entries, total: await db.$count(auditEntries, condition) };
}

function conditionOf({ userId, kind, objectId, from, until }: AuditFilter): SQL | undefined {
  return and(
    userId === undefined ? undefined : eq(auditEntries.userId, userId),
    kind && eq(auditEntries.kind, kind),
    objectId === undefined ? undefined : eq(auditEntries.objectId, objectId),
    from && gte(auditEntries.createdAt, from),
    until && lte(auditEntries.createdAt, until),
  );
}

const BATCH = 500;
/** Batches in one pass: what has piled up is worked off over many. */
const BATCHES_MAX = 20;

/** Removes the oldest entries past their time, by primary key in small batches; 0 days: none. Returns how many. */
export async function pruneAuditEntries(db: Database, keepDays: number): Promise<number> {
  let pruned = 0;
  for (let batch = 0; keepDays > 0 && batch < BATCHES_MAX; batch++) {
    const count = await pruneBatch(db, keepDays);
    pruned += count;
    if (count < BATCH) break;
  }
  return pruned;
}

async function pruneBatch(db: Database, keepDays: number): Promise<number> {
  const rows = await db
    .select({ id: auditEntries.id })
    .from(auditEntries)
    .where(lt(auditEntries.createdAt, sql`UTC_TIMESTAMP(6) - INTERVAL ${keepDays} DAY`))
    .orderBy(asc(auditEntries.createdAt))
    .limit(BATCH);
  const ids = rows.map(({ id }) => id);
  if (ids.length > 0) await db.delete(auditEntries).where(inArray(auditEntries.id, ids));
  return ids.length;
}
