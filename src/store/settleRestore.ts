import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.ts';

/** Of runs a second since the backup; and at the least. */
const RUNS_A_SECOND = 200;
const RUNS_MIN = 1_000_000;
const OTHERS = 10_000;

export interface SettledRestore {
  /** When the restored data were last written to. */
  backupAt: Date | null;
  leased: number;
}

/**
 * Makes a restored database safe to go on with. What happened after the backup is gone here, but not in the world: workers have
 * outcomes on their disks, clients hold tokens and ids. Ids and fencing tokens that were given out then are not given out again,
 * so that none of them is taken for a run, a job or a user that is made from now on. Leases are left to the reaper: a worker that
 * has the outcome of such a run may still record it.
 */
export async function settleRestore(db: Database): Promise<SettledRestore> {
  const [found] = await rowsOf<{ at: Date | null; seconds: number | null }>(
    db,
    sql`SELECT MAX(updated_at) AS at, TIMESTAMPDIFF(SECOND, MAX(updated_at), UTC_TIMESTAMP(6)) AS seconds FROM job_runs`,
  );
  const runs = Math.max(RUNS_MIN, (found?.seconds ?? 0) * RUNS_A_SECOND);
  await raise(db, 'job_runs', runs);
  for (const table of ['users', 'jobs', 'folders', 'tags', 'deliveries']) await raise(db, table, OTHERS);
  await db.execute(sql`UPDATE jobs SET lease_token = lease_token + ${runs} WHERE state <> 'leased'`);
  const [leased] = await rowsOf<{ n: number }>(db, sql`SELECT COUNT(*) AS n FROM jobs WHERE state = 'leased'`);
  return { backupAt: found?.at ? new Date(found.at) : null, leased: leased?.n ?? 0 };
}

/** The next id is so much higher than the highest. */
async function raise(db: Database, table: string, by: number): Promise<void> {
  const [row] = await rowsOf<{ id: number }>(db, sql`SELECT COALESCE(MAX(id), 0) AS id FROM ${sql.identifier(table)}`);
  await db.execute(sql`ALTER TABLE ${sql.identifier(table)} AUTO_INCREMENT = ${sql.raw(String(Number(row?.id) + by))}`);
}

async function rowsOf<T>(db: Database, query: SQL): Promise<T[]> {
  const [rows] = (await db.execute(query)) as unknown as [T[]];
  return rows;
}
