import { type Change, compareFields } from '../domain/audit.ts';
import { AppError } from '../domain/errors.ts';
import { nameLengthProblems } from '../domain/name.ts';
import { nullCharacter, type Problem, problemIf } from '../domain/problem.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import { errorCode, type Queryable } from '../store/database.ts';
import {
  deleteUser as deleteUserRow,
  findUser,
  insertUser,
  listUsers as listUserRows,
  type User,
  updatePassword,
} from '../store/users.ts';
import { type Idempotency, once } from './idempotency.ts';
import { hashPassword, passwordProblems } from './passwords.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

export interface NewPassword {
  password: string;
  confirmation: string;
}

/** A user sees itself, root everyone. */
export function listUsers({ db }: ServiceParts, { isRoot, userId }: Caller, page: Page) {
  return listUserRows(db, { onlyId: isRoot ? null : userId, ...page });
}

export async function getUser({ db }: ServiceParts, caller: Caller, id: number): Promise<User> {
  requireSelfOrRoot(caller, id);
  const user = await findUser(db, id);
  if (!user) throw new AppError({ code: 'user_not_found' });
  return user;
}

export async function createUser(
  parts: ServiceParts,
  caller: Caller,
  { user: { username, ...next }, idempotency }: { user: NewPassword & { username: string }; idempotency: Idempotency },
): Promise<{ user: User; isReplay: boolean }> {
  requireRoot(caller);
  const problems = [...usernameProblems(username), ...passwordProblems(next.password, next.confirmation)];
  if (problems.length > 0) throw new AppError({ code: 'user_not_created', username, problems });
  const passwordDigest = await hashPassword(next.password);
  const make = async (tx: Queryable) => {
    const id = await insertUser(tx, { username, passwordDigest, isRoot: false });
    await noteChange(tx, caller, { operation: 'create', objectId: id, ...compareFields(null, { username }) });
    return id;
  };
  const create = parts.db.transact((tx) => once(tx, caller, { idempotency, make: () => make(tx) }));
  const { id, isReplay } = await uniquely(create);
  return { user: await getUser(parts, caller, id), isReplay };
}

export async function updateUser(parts: ServiceParts, caller: Caller, id: number, next: NewPassword): Promise<User> {
  const user = await getUser(parts, caller, id);
  const problems = passwordProblems(next.password, next.confirmation);
  if (problems.length > 0) throw new AppError({ code: 'user_not_updated', userId: id, problems });
  const passwordDigest = await hashPassword(next.password);
  await parts.db.transact(async (tx) => {
    if (!(await updatePassword(tx, user.id, passwordDigest))) throw new AppError({ code: 'user_not_found' });
    await noteChange(tx, caller, { operation: 'change_password', objectId: user.id, before: null, after: null });
  });
  return getUser(parts, caller, id);
}

export async function deleteUser(parts: ServiceParts, caller: Caller, id: number): Promise<User> {
  requireRoot(caller);
  if (id === caller.userId) throw new AppError({ code: 'user_undeletable' });
  const user = await getUser(parts, caller, id);
  const { username, jobCount } = user;
  await parts.db.transact(async (tx) => {
    if (!(await deleteUserRow(tx, id))) throw new AppError({ code: 'user_not_found' });
    const compared = compareFields({ username, jobs: jobCount }, null);
    await noteChange(tx, caller, { operation: 'delete', objectId: id, ...compared });
  });
  return user;
}

function noteChange(tx: Queryable, caller: Caller, change: Omit<Change, 'kind'>): Promise<void> {
  return insertAuditEntry(tx, caller, { kind: 'user', ...change });
}

/** @throws {AppError} root_required */
export function requireRoot(caller: Caller): void {
  if (!caller.isRoot) throw new AppError({ code: 'root_required' });
}

/** Asked before the look-up: whether another user exists is not to be learned here. */
function requireSelfOrRoot(caller: Caller, id: number): void {
  if (caller.userId !== id) requireRoot(caller);
}

function usernameProblems(username: string): Problem[] {
  if (username.trim() === '') return problemIf(true, 'blank', 'username');
  return [...nameLengthProblems('username', username), ...nullCharacter('username', username)];
}

async function uniquely<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (errorCode(error) !== 'ER_DUP_ENTRY') throw error;
    throw new AppError({ code: 'username_taken' }, { cause: error });
  }
}
