import { insertId, type Queryable } from './database.ts';
import { folders } from './schema.ts';

export async function insertFolder(tx: Queryable, folder: typeof folders.$inferInsert): Promise<number> {
  return insertId(await tx.insert(folders).values(folder));
}
