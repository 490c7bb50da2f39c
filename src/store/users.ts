import { asc, eq, sql } from 'drizzle-orm';
import { foldName } from '../domain/name.ts';
import { affectedRows, insertId, type Queryable } from './database.ts';
import { prepare } from './prepare.ts';
import { folders, idempotencyKeys, jobs, purges, tags, users } from './schema.ts';

export type User = typeof users.$inferSelect;

/** Whose jobs, how many they are, and how often their definitions have changed. */
export interface Owner {
  userId: number;
  jobCount: number;
  jobsRevision: number;
}

const userById = prepare((db) =>
  db
    .select()
    .from(users)
    .where(eq(users.id, sql.placeholder('id')))
    .prepare(),
);

export async function findUser(db: Queryable, id: number): Promise<User | undefined> {
  const [user] = await userById(db).execute({ id });
  return user;
}

export async function findUserByName(db: Queryable, username: string): Promise<User | undefined> {
  const [user] = await db
    .select()
    .from(users)
    .where(eq(users.usernameKey, foldName(username)));
  return user;
}

/** Users in the order of their ids, and how many there are; `onlyId` leaves one. */
export async function listUsers(
  db: Queryable,
  { onlyId, limit, offset }: { onlyId: number | null; limit: number; offset: number },
): Promise<{ users: User[]; total: number }> {
  const condition = onlyId === null ? undefined : eq(users.id, onlyId);
  const found = await db.select().from(users).where(condition).orderBy(asc(users.id)).limit(limit).offset(offset);
  return { users: found, total: await db.$count(users, condition) };
}

/** @throws the database's ER_DUP_ENTRY where the name is taken */
export async function insertUser(
  db: Queryable,
  user: { username: string; passwordDigest: string; isRoot: boolean },
): Promise<number> {
  return insertId(await db.insert(users).values({ ...user, usernameKey: foldName(user.username) }));
}

/** Changes a password and revokes the tokens given out before. */
export async function updatePassword(db: Queryable, id: number, passwordDigest: string): Promise<boolean> {
  const result = await db
    .update(users)
    .set({ passwordDigest, tokenVersion: sql`${users.tokenVersion} + 1`, updatedAt: sql`UTC_TIMESTAMP(6)` })
    .where(eq(users.id, id));
  return affectedRows(result) === 1;
}

/**
 * Removes a user with all that is theirs; the history of the jobs is left to the leader. A run under way loses its lease,
 * and its worker ends the command. False: there is no such user.
 */
export async function deleteUser(tx: Queryable, id: number): Promise<boolean> {
  const removed = await tx.delete(users).where(eq(users.id, id));
  if (affectedRows(removed) !== 1) return false;
  const jobsOfUser = tx
    .select({ jobId: jobs.id, createdAt: sql`UTC_TIMESTAMP(6)` })
    .from(jobs)
    .where(eq(jobs.userId, id));
  await tx.insert(purges).select(sql`${jobsOfUser.getSQL()}`);
  await tx.execute(
    sql`DELETE job_tags FROM job_tags JOIN jobs ON jobs.id = job_tags.job_id WHERE jobs.user_id = ${id}`,
  );
  await tx.delete(jobs).where(eq(jobs.userId, id));
  await tx.delete(tags).where(eq(tags.userId, id));
  await tx.delete(folders).where(eq(folders.userId, id));
  await tx.delete(idempotencyKeys).where(eq(idempotencyKeys.userId, id));
  return true;
}
