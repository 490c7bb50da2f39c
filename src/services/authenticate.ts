import { AppError } from '../domain/errors.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import type { Database } from '../store/database.ts';
import { findUser, findUserByName } from '../store/users.ts';
import { verifyPassword } from './passwords.ts';
import type { Caller, ServiceParts } from './services.ts';
import { countSignIn, forgiveSignIn, mayNoteRefusal, type SignIn } from './signInLimit.ts';

/**
 * A token for a name and password.
 * @throws {AppError} invalid_credentials, after the same work whether or not there is such a user; too_many_attempts
 */
export async function authenticate(
  { db, tokens, attempts, signInsMax }: ServiceParts,
  { password, ...signIn }: SignIn & { password: string },
): Promise<{ token: string; userId: number }> {
  await countSignIn(attempts, signIn, signInsMax);
  let isWrong = false;
  try {
    const user = await findUserByName(db, signIn.username);
    isWrong = !(await verifyPassword(password, user?.passwordDigest));
    if (!user || isWrong) {
      if (await mayNoteRefusal(attempts)) await noteRefusal(db, signIn, user?.id ?? null);
      throw new AppError({ code: 'invalid_credentials' });
    }
    const token = await tokens.issue({ userId: user.id, tokenVersion: user.tokenVersion });
    return { token, userId: user.id };
  } finally {
    // Whoever was not heard, because the server was too busy or its database away, has not failed.
    if (!isWrong) await forgiveSignIn(attempts, signIn);
  }
}

/** For an unknown name too, which costs the same work and is not kept: it may be a password typed into the wrong field. */
function noteRefusal(db: Database, { address }: SignIn, userId: number | null): Promise<void> {
  const nobody = { userId: null, username: '', address };
  const refusal = { operation: 'refuse_sign_in', kind: 'user', objectId: userId, before: null, after: null } as const;
  return insertAuditEntry(db, nobody, refusal);
}

/**
 * The user whom a token stands for.
 * @throws {AppError} not_authorized: no, bad, expired or revoked token, or its user is gone
 */
export async function identify(
  { db, tokens }: ServiceParts,
  { token, address }: { token: string; address: string },
): Promise<Caller> {
  const claims = await tokens.read(token);
  const user = claims ? await findUser(db, claims.userId) : undefined;
  if (!user || user.tokenVersion !== claims?.tokenVersion) throw new AppError({ code: 'not_authorized' });
  const { id: userId, username, isRoot, jobCount, jobsRevision } = user;
  return { userId, username, address, isRoot, jobCount, jobsRevision };
}
