import { asc, eq } from 'drizzle-orm';
import { type Database, NOW_MICROS } from './database.ts';
import { prepare } from './prepare.ts';
import { jobs } from './schema.ts';

const nextDue = prepare((db) =>
  db
    .select({ dueAt: jobs.dueAt, nowMicros: NOW_MICROS })
    .from(jobs, { forceIndex: 'jobs_claim' })
    .where(eq(jobs.state, 'due'))
    .orderBy(asc(jobs.dueAt), asc(jobs.id))
    .limit(1)
    .prepare(),
);

/** When the first due job may be claimed, by the database's clock; null when none is due. */
export async function findNextDue(db: Database): Promise<{ dueAt: Date; databaseNowMs: number } | null> {
  const [row] = await nextDue(db).execute();
  return row?.dueAt ? { dueAt: row.dueAt, databaseNowMs: row.nowMicros / 1000 } : null;
}
