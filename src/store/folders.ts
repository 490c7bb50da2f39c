import { and, asc, eq, sql } from 'drizzle-orm';
import { foldName } from '../domain/name.ts';
import { insertId, type Queryable } from './database.ts';
import { folders, users } from './schema.ts';

export type Folder = typeof folders.$inferSelect;

export interface FolderWrite {
  name: string;
  expression: string;
}

interface FolderKey {
  id: number;
  userId: number;
}

const isOf = ({ id, userId }: FolderKey) => and(eq(folders.id, id), eq(folders.userId, userId));

export async function findFolder(db: Queryable, key: FolderKey): Promise<Folder | undefined> {
  const [folder] = await db.select().from(folders).where(isOf(key));
  return folder;
}

/** The user's folder, locked until the transaction ends. */
export async function lockFolder(tx: Queryable, key: FolderKey): Promise<Folder | undefined> {
  const [folder] = await tx.select().from(folders).where(isOf(key)).for('update');
  return folder;
}

/** A page of the user's folders in the order of their ids, and how many there are. */
export async function listFolders(
  db: Queryable,
  { userId, limit, offset }: { userId: number; limit: number; offset: number },
): Promise<{ folders: Folder[]; total: number }> {
  const condition = eq(folders.userId, userId);
  const found = await db.select().from(folders).where(condition).orderBy(asc(folders.id)).limit(limit).offset(offset);
  return { folders: found, total: await db.$count(folders, condition) };
}

/**
 * Null: the user has been deleted meanwhile.
 * @throws the database's ER_DUP_ENTRY where the user has a folder of this name; so does updateFolder
 */
export async function insertFolder(tx: Queryable, userId: number, folder: FolderWrite): Promise<number | null> {
  const [user] = await tx.select({ id: users.id }).from(users).where(eq(users.id, userId)).for('update');
  if (!user) return null;
  return insertId(await tx.insert(folders).values({ userId, ...folder, nameKey: foldName(folder.name) }));
}

/** Writes to a locked folder. */
export async function updateFolder(tx: Queryable, key: FolderKey, folder: FolderWrite): Promise<void> {
  const changes = { ...folder, nameKey: foldName(folder.name), updatedAt: sql`UTC_TIMESTAMP(6)` };
  await tx.update(folders).set(changes).where(isOf(key));
}

export async function deleteFolder(tx: Queryable, key: FolderKey): Promise<void> {
  await tx.delete(folders).where(isOf(key));
}
