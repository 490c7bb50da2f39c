import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import { createDatabase } from '../store/database.ts';
import { requireSchema } from '../store/requireSchema.ts';
import { settleRestore } from '../store/settleRestore.ts';

/** Makes a database that was restored from a backup safe to start on (docs/backup.md). */
export async function runAfterRestore(config: Config, log: Log): Promise<number> {
  const db = createDatabase(config.database);
  try {
    await requireSchema(db);
    log.info(await settleRestore(db), 'The restored database may be used');
    return 0;
  } finally {
    await db.close();
  }
}
