import { and, eq, inArray } from 'drizzle-orm';
import type { MySqlTable } from 'drizzle-orm/mysql-core';
import type { LegacyKind } from '../../domain/legacy.ts';
import { insertId, type Queryable } from '../database.ts';
import { folders, jobRuns, jobs, legacyIds, purges, users } from '../schema.ts';

/** What has been taken over before: ids here by ids there. */
export async function findTakenOver(db: Queryable, kind: LegacyKind, ids: number[]): Promise<Map<number, number>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .select({ legacyId: legacyIds.legacyId, id: legacyIds.id })
    .from(legacyIds)
    .where(and(eq(legacyIds.kind, kind), inArray(legacyIds.legacyId, ids)));
  return new Map(rows.map(({ legacyId, id }) => [legacyId, id]));
}

export function noteTakenOver(tx: Queryable, kind: LegacyKind, ids: Map<number, number>) {
  return tx.insert(legacyIds).values([...ids].map(([legacyId, id]) => ({ kind, legacyId, id })));
}

const TABLES = { user: users, job: jobs, folder: folders, run: jobRuns };

/** Which of these ids a row has here. The history of a job that was deleted holds on to the job's id until it is gone. */
async function findUsedIds(db: Queryable, kind: LegacyKind, ids: number[]): Promise<Set<number>> {
  const table = TABLES[kind];
  const rows = await db.select({ id: table.id }).from(table).where(inArray(table.id, ids));
  const purged =
    kind === 'job' ? await db.select({ id: purges.jobId }).from(purges).where(inArray(purges.jobId, ids)) : [];
  return new Set([...rows, ...purged].map(({ id }) => id));
}

/**
 * Inserts rows under the ids that they had, or under new ones where those are taken, and notes which became which. Returns
 * ids here by ids there.
 * @throws the database's ER_DUP_ENTRY where an id was given out in the same moment
 */
export async function insertKeepingIds<T extends MySqlTable>(
  tx: Queryable,
  { kind, table, rows }: { kind: LegacyKind; table: T; rows: { legacyId: number; values: T['$inferInsert'] }[] },
): Promise<Map<number, number>> {
  if (rows.length === 0) return new Map();
  const used = await findUsedIds(
    tx,
    kind,
    rows.map(({ legacyId }) => legacyId),
  );
  const ids = new Map(rows.map(({ legacyId }) => [legacyId, legacyId]));
  const kept = rows.filter(({ legacyId }) => !used.has(legacyId));
  if (kept.length > 0) await tx.insert(table).values(kept.map(({ legacyId, values }) => ({ ...values, id: legacyId })));
  for (const { legacyId, values } of rows.filter((row) => used.has(row.legacyId)))
    ids.set(legacyId, insertId(await tx.insert(table).values(values)));
  await noteTakenOver(tx, kind, ids);
  return ids;
}
