import { parseArgs } from 'node:util';
import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import { seedFirstStart } from '../services/seed.ts';
import { createDatabase } from '../store/database.ts';
import { migrateDatabase } from '../store/migrate.ts';

/**
 * Brings the database up to this version and, on the first start, creates its users; --without-users leaves them to an import.
 * Safe on many nodes at once.
 */
export async function runMigrate(args: string[], config: Config, log: Log): Promise<number> {
  const { values } = parseArgs({ args, options: { 'without-users': { type: 'boolean' } } });
  await migrateDatabase(config.database);
  const db = createDatabase(config.database);
  try {
    const isSeeded = !values['without-users'] && (await seedFirstStart(db, config.seed));
    log.info({ database: config.database.name, isSeeded }, 'The database is up to date');
    return 0;
  } finally {
    await db.close();
  }
}
