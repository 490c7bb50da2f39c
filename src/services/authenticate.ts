import { AppError } from '../domain/errors.ts';
import { findUser, findUserByName } from '../store/users.ts';
import { verifyPassword } from './passwords.ts';
import type { Caller, ServiceParts } from './services.ts';

/** @throws {AppError} invalid_credentials, after the same work whether or not there is such a user */
export async function authenticate(
  { db, tokens }: ServiceParts,
  { username, password }: { username: string; password: string },
): Promise<{ token: string; userId: number }> {
  const user = await findUserByName(db, username);
  const isMatch = await verifyPassword(password, user?.passwordDigest);
  if (!user || !isMatch) throw new AppError({ code: 'invalid_credentials' });
  const token = await tokens.issue({ userId: user.id, tokenVersion: user.tokenVersion });
  return { token, userId: user.id };
}

/**
 * The user whom a token stands for.
 * @throws {AppError} not_authorized: no, bad, expired or revoked token, or its user is gone
 */
export async function identify({ db, tokens }: ServiceParts, token: string): Promise<Caller> {
  const claims = await tokens.read(token);
  const user = claims ? await findUser(db, claims.userId) : undefined;
  if (!user || user.tokenVersion !== claims?.tokenVersion) throw new AppError({ code: 'not_authorized' });
  return { userId: user.id, isRoot: user.isRoot };
}
