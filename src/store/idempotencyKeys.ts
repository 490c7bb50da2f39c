import { and, asc, eq, inArray, lt, sql } from 'drizzle-orm';
import { affectedRows, type Database, type Queryable } from './database.ts';
import { idempotencyKeys } from './schema.ts';

/** A key that a client gave a request, and what tells this request from others. */
export interface RequestKey {
  userId: number;
  key: string;
  fingerprint: string;
}

/**
 * Takes a key for the request of this transaction. Null: it is new. Else what the request that has it made; a transaction
 * under way with the same key is waited for.
 */
export async function takeKey(
  tx: Queryable,
  request: RequestKey,
): Promise<{ fingerprint: string; resourceId: number } | null> {
  const inserted = await tx
    .insert(idempotencyKeys)
    .ignore()
    .values({ ...request, resourceId: 0 });
  if (affectedRows(inserted) === 1) return null;
  const { fingerprint, resourceId } = idempotencyKeys;
  const [taken] = await tx.select({ fingerprint, resourceId }).from(idempotencyKeys).where(isOf(request)).for('update');
  if (!taken) throw new Error('An idempotency key was taken and is gone');
  return taken;
}

/** Notes what the request made, before its transaction commits. */
export async function settleKey(tx: Queryable, request: RequestKey, resourceId: number): Promise<void> {
  await tx.update(idempotencyKeys).set({ resourceId }).where(isOf(request));
}

const isOf = ({ userId, key }: RequestKey) => and(eq(idempotencyKeys.userId, userId), eq(idempotencyKeys.key, key));

/** How long a key is remembered. */
const KEY_HOURS = 24;
const BATCH = 1000;

/** Forgets the oldest keys past their time, by primary key. Returns how many. */
export async function pruneKeys(db: Database): Promise<number> {
  const rows = await db
    .select({ id: idempotencyKeys.id })
    .from(idempotencyKeys)
    .where(lt(idempotencyKeys.createdAt, sql`UTC_TIMESTAMP(6) - INTERVAL ${KEY_HOURS} HOUR`))
    .orderBy(asc(idempotencyKeys.createdAt))
    .limit(BATCH);
  const ids = rows.map(({ id }) => id);
  if (ids.length > 0) await db.delete(idempotencyKeys).where(inArray(idempotencyKeys.id, ids));
  return ids.length;
}
