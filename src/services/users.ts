import { AppError } from '../domain/errors.ts';
import { errorCode } from '../store/database.ts';
import {
  deleteUser as deleteUserRow,
  findUser,
  insertUser,
  listUsers as listUserRows,
  type User,
  updatePassword,
} from '../store/users.ts';
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
  { username, ...next }: NewPassword & { username: string },
): Promise<User> {
  requireRoot(caller);
  const problems = [...usernameProblems(username), ...passwordProblems(next.password, next.confirmation)];
  if (problems.length > 0) throw new AppError({ code: 'user_not_created', username, problems });
  const passwordDigest = await hashPassword(next.password);
  const id = await uniquely(insertUser(parts.db, { username, passwordDigest, isRoot: false }));
  return getUser(parts, caller, id);
}

export async function updateUser(parts: ServiceParts, caller: Caller, id: number, next: NewPassword): Promise<User> {
  const user = await getUser(parts, caller, id);
  const problems = passwordProblems(next.password, next.confirmation);
  if (problems.length > 0) throw new AppError({ code: 'user_not_updated', userId: id, problems });
  const isUpdated = await updatePassword(parts.db, user.id, await hashPassword(next.password));
  if (!isUpdated) throw new AppError({ code: 'user_not_found' });
  return getUser(parts, caller, id);
}

export async function deleteUser(parts: ServiceParts, caller: Caller, id: number): Promise<User> {
  requireRoot(caller);
  if (id === caller.userId) throw new AppError({ code: 'user_undeletable' });
  const user = await getUser(parts, caller, id);
  if (!(await deleteUserRow(parts.db, id))) throw new AppError({ code: 'user_not_found' });
  return user;
}

function requireRoot(caller: Caller): void {
  if (!caller.isRoot) throw new AppError({ code: 'root_required' });
}

/** Asked before the look-up: whether another user exists is not to be learned here. */
function requireSelfOrRoot(caller: Caller, id: number): void {
  if (caller.userId !== id) requireRoot(caller);
}

const USERNAME_LENGTH_MAX = 255;

function usernameProblems(username: string): string[] {
  if (username.trim() === '') return ["Username can't be blank"];
  if (username.length > USERNAME_LENGTH_MAX)
    return [`Username is too long (maximum is ${USERNAME_LENGTH_MAX} characters)`];
  return username.includes('\0') ? ["Username can't contain a null character"] : [];
}

async function uniquely<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (errorCode(error) !== 'ER_DUP_ENTRY') throw error;
    throw new AppError({ code: 'username_taken' }, { cause: error });
  }
}
