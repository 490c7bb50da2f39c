import { readFileSync } from 'node:fs';
import { sql } from 'drizzle-orm';
import type { Database } from './database.ts';
import { errorCode } from './database.ts';

export class SchemaOutdated extends Error {
  constructor() {
    super('The database lacks migrations of this version; run: bjr migrate');
    this.name = 'SchemaOutdated';
  }
}

const JOURNAL = new URL('../../drizzle/meta/_journal.json', import.meta.url);

/**
 * Makes sure that the database has this version's migrations.
 * @throws {SchemaOutdated}
 */
export async function requireSchema(db: Database): Promise<void> {
  if ((await lastMigrationAt(db)) < newestMigrationAt()) throw new SchemaOutdated();
}

function newestMigrationAt(): number {
  const { entries } = JSON.parse(readFileSync(JOURNAL, 'utf8')) as { entries: { when: number }[] };
  return Math.max(...entries.map(({ when }) => when));
}

async function lastMigrationAt(db: Database): Promise<number> {
  try {
    const [row] = await db.select({ at: sql<number>`MAX(created_at)` }).from(sql`__drizzle_migrations`);
    return row?.at ?? 0;
  } catch (error) {
    if (['ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR'].includes(errorCode(error))) return 0;
    throw error;
  }
}
