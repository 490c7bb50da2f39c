import { type Change, compareFields } from '../domain/audit.ts';
import { AppError } from '../domain/errors.ts';
import { nameLengthProblems } from '../domain/name.ts';
import { nullCharacter, type Problem, problemIf } from '../domain/problem.ts';
import { type ParseOptions, parseExpression } from '../domain/search/parse.ts';
import type { Term } from '../domain/search/term.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import { countJobs } from '../store/countJobs.ts';
import type { Queryable } from '../store/database.ts';
import {
  deleteFolder as deleteFolderRow,
  type Folder,
  type FolderWrite,
  findFolder,
  insertFolder,
  listFolders as listFolderRows,
  lockFolder,
  updateFolder as updateFolderRow,
} from '../store/folders.ts';
import { type Idempotency, once } from './idempotency.ts';
import { listJobs, ownerOf, uniquely } from './jobs.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

/** A folder is a saved search: its jobs are those that match now. */
export type CountedFolder = Folder & { jobCount: number };

const EXPRESSION_LENGTH_MAX = 1000;

export async function listFolders(
  { db }: ServiceParts,
  caller: Caller,
  { page, dates }: { page: Page; dates: ParseOptions },
): Promise<{ folders: CountedFolder[]; total: number }> {
  const userId = ownerOf(caller);
  const { folders, total } = await listFolderRows(db, { userId, ...page });
  return { folders: await count({ db, owner: caller, dates }, folders), total };
}

interface CountParts extends Pick<ServiceParts, 'db'> {
  owner: Caller;
  dates: ParseOptions;
}

function count({ db, owner, dates }: CountParts, folders: Folder[]): Promise<CountedFolder[]> {
  return Promise.all(
    folders.map(async (folder) => {
      const terms = readSaved(folder.expression, dates);
      return { ...folder, jobCount: terms ? await countJobs(db, owner, terms) : 0 };
    }),
  );
}

/** Null: a date in words that was written in another language, say. One such folder must not hide the others. */
function readSaved(expression: string, dates: ParseOptions): Term[] | null {
  try {
    return parseExpression(expression, dates);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

interface FolderQuery {
  id: number;
  dates: ParseOptions;
}

export async function getFolder(parts: ServiceParts, caller: Caller, query: FolderQuery): Promise<CountedFolder> {
  const found = await find(parts, caller, query.id);
  const [counted] = await count({ ...parts, owner: caller, dates: query.dates }, [found]);
  if (!counted) throw new AppError({ code: 'folder_not_found' });
  return counted;
}

async function find({ db }: ServiceParts, caller: Caller, id: number): Promise<Folder> {
  const folder = await findFolder(db, { id, userId: ownerOf(caller) });
  if (!folder) throw new AppError({ code: 'folder_not_found' });
  return folder;
}

async function lock(tx: Queryable, caller: Caller, id: number): Promise<Folder> {
  const folder = await lockFolder(tx, { id, userId: ownerOf(caller) });
  if (!folder) throw new AppError({ code: 'folder_not_found' });
  return folder;
}

function noteChange(tx: Queryable, caller: Caller, change: Omit<Change, 'kind'>): Promise<void> {
  return insertAuditEntry(tx, caller, { kind: 'folder', ...change });
}

const fieldsOf = ({ name, expression }: FolderWrite) => ({ name, expression });

const compareFolders = (before: FolderWrite | null, after: FolderWrite | null) =>
  compareFields(before && fieldsOf(before), after && fieldsOf(after));

/** A page of the jobs that match the folder's expression now. */
export async function getFolderJobs(
  parts: ServiceParts,
  caller: Caller,
  { id, dates, page }: FolderQuery & { page: Page },
) {
  const { expression } = await find(parts, caller, id);
  return listJobs(parts, caller, { terms: parseExpression(expression, dates), page });
}

export async function createFolder(
  parts: ServiceParts,
  caller: Caller,
  { folder, dates, idempotency }: { folder: FolderWrite; dates: ParseOptions; idempotency: Idempotency },
): Promise<{ folder: CountedFolder; isReplay: boolean }> {
  const userId = ownerOf(caller);
  check(folder, dates);
  const make = async (tx: Queryable) => {
    const id = await insertFolder(tx, userId, folder);
    if (id === null) throw new AppError({ code: 'not_authorized' });
    await noteChange(tx, caller, { operation: 'create', objectId: id, ...compareFolders(null, folder) });
    return id;
  };
  const create = parts.db.transact((tx) => once(tx, caller, { idempotency, make: () => make(tx) }));
  const { id, isReplay } = await uniquely(create);
  return { folder: await getFolder(parts, caller, { id, dates }), isReplay };
}

export async function updateFolder(
  parts: ServiceParts,
  caller: Caller,
  { id, dates, changes }: FolderQuery & { changes: Partial<FolderWrite> },
): Promise<CountedFolder> {
  const update = parts.db.transact(async (tx) => {
    const { name, expression, userId } = await lock(tx, caller, id);
    const folder = { name, expression, ...changes };
    check(folder, dates);
    await updateFolderRow(tx, { id, userId }, folder);
    const compared = compareFolders({ name, expression }, folder);
    await noteChange(tx, caller, { operation: 'update', objectId: id, ...compared });
  });
  await uniquely(update);
  return getFolder(parts, caller, { id, dates });
}

export async function deleteFolder(parts: ServiceParts, caller: Caller, query: FolderQuery): Promise<CountedFolder> {
  const folder = await getFolder(parts, caller, query);
  await parts.db.transact(async (tx) => {
    const current = await lock(tx, caller, query.id);
    await deleteFolderRow(tx, current);
    await noteChange(tx, caller, { operation: 'delete', objectId: query.id, ...compareFolders(current, null) });
  });
  return folder;
}

/** @throws {AppError} invalid: a folder whose expression cannot be read is not saved */
function check({ name, expression }: FolderWrite, dates: ParseOptions): Term[] {
  const problems: Problem[] = [
    ...problemIf(name.trim() === '', 'blank', 'name'),
    ...nameLengthProblems('name', name),
    ...nullCharacter('name', name),
    ...problemIf(expression.trim() === '', 'blank', 'expression'),
    ...problemIf(expression.length > EXPRESSION_LENGTH_MAX, 'too_long', 'expression', { limit: EXPRESSION_LENGTH_MAX }),
    ...nullCharacter('expression', expression),
  ];
  if (problems.length > 0) throw new AppError({ code: 'invalid', problems });
  return parseExpression(expression, dates);
}
