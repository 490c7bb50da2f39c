import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import type { Log } from '../platform/log.ts';
import type { Database } from './database.ts';
import { errorCode } from './database.ts';

export class SchemaOutdated extends Error {
  constructor() {
    super('The database lacks migrations of this version; run: bjr migrate');
    this.name = 'SchemaOutdated';
  }
}

/** The server is away, starting or going: it may come. */
const AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  'PROTOCOL_CONNECTION_LOST',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'ER_CLIENT_INTERACTION_TIMEOUT',
]);
const RETRY_MS = 1000;

/**
 * `requireSchema`, once the database answers: nodes that start while it is away, or with it, wait.
 * @throws {SchemaOutdated}, or what the database refuses with
 */
export async function awaitSchema(db: Database, log: Log): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await requireSchema(db);
    } catch (error) {
      const code = errorCode(error);
      if (!AWAY.has(code)) throw error;
      if (tries % 10 === 0) log.warn({ code }, 'The database does not answer yet: waiting for it');
      await delay(RETRY_MS);
    }
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
