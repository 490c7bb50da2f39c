import { randomBytes } from 'node:crypto';
import { and, eq } from 'drizzle-orm';
import type { Queryable } from './database.ts';
import { users } from './schema.ts';

const newSecret = () => randomBytes(32).toString('hex');

/** What signs a user's callbacks, which is made when it is first needed: 64 hexadecimal digits, '' for nobody. */
export async function callbackSecretOf(db: Queryable, userId: number): Promise<string> {
  const secret = await find(db, userId);
  if (secret !== '') return secret ?? '';
  const hasNone = and(eq(users.id, userId), eq(users.callbackSecret, ''));
  await db.update(users).set({ callbackSecret: newSecret() }).where(hasNone);
  return (await find(db, userId)) ?? '';
}

/** A new one; the former signs nothing any more. */
export async function replaceCallbackSecret(db: Queryable, userId: number): Promise<string> {
  const callbackSecret = newSecret();
  await db.update(users).set({ callbackSecret }).where(eq(users.id, userId));
  return callbackSecret;
}

async function find(db: Queryable, userId: number): Promise<string | undefined> {
  const [user] = await db.select({ secret: users.callbackSecret }).from(users).where(eq(users.id, userId));
  return user?.secret;
}
