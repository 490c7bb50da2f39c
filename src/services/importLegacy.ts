import {
  boundOutput,
  distinguish,
  type LegacyJob,
  type LegacyRow,
  type Translated,
  translateFolder,
  translateJob,
  translateRun,
  translateStatistics,
  translateUser,
} from '../domain/legacy.ts';
import type { Misfire } from '../domain/misfire.ts';
import { settleSteps } from '../domain/misfire.ts';
import { foldName } from '../domain/name.ts';
import { parseDate } from '../domain/naturalDate.ts';
import { plan } from '../domain/plan.ts';
import { scheduleOf } from '../domain/schedule.ts';
import { type Database, errorCode, readNowMs } from '../store/database.ts';
import { listFolders } from '../store/folders.ts';
import { findTakenOver, insertKeepingIds, noteTakenOver } from '../store/legacy/ids.ts';
import { findJobNames, findJobs, type ImportedJob, insertImportedJobs } from '../store/legacy/insertJobs.ts';
import { type ImportedRun, insertImportedRuns } from '../store/legacy/insertRuns.ts';
import { insertImportedStatistics, rollUpImported } from '../store/legacy/insertStatistics.ts';
import type { LegacySource, LegacyTable } from '../store/legacy/source.ts';
import { folders, users } from '../store/schema.ts';
import { findUser, findUserByName, updatePassword } from '../store/users.ts';
import { createReport, type ImportReport } from './importReport.ts';

export interface ImportOptions {
  db: Database;
  source: LegacySource;
  /** Only looks: nothing is written. */
  isDryRun: boolean;
  /** Whether a user who is here already gets the password that it had there. */
  hasLegacyPasswords: boolean;
  /** Whether an occurrence that the first BJR missed runs late, as the job's misfire policy says; else it is recorded as missed. */
  isMissedRun: boolean;
  outputBytesMax: number;
  onProgress(progress: { table: LegacyTable; done: number; total: number }): void;
}

const BATCH = 500;
/** Of the outputs that are read and written at once: well below what a server takes as one statement. */
const OUTPUT_BYTES_BATCH = 4_000_000;

/** What is known of the rows above: who, or what, stands for an id of the first BJR's. */
interface Context extends ImportOptions {
  report: ImportReport;
  userIds: Map<number, { id: number; isRoot: boolean }>;
}

/**
 * Takes over the first BJR's users, jobs with tags, folders, statistics and runs. Every batch is one transaction that also notes
 * what it took over, so a second import takes only what is new, and one that was killed goes on.
 */
export async function importLegacy(options: ImportOptions): Promise<ImportReport> {
  const report = createReport();
  const context: Context = { ...options, report, userIds: new Map() };
  for (const what of options.source.missing) report.note('the source', `${what}: nothing of it is taken over`);
  await importUsers(context);
  await importJobs(context);
  await importFolders(context);
  await importStatistics(context);
  await importRuns(context);
  if (!options.isDryRun) await rollUpImported(options.db);
  return report;
}

async function* batches({ source, onProgress }: Context, table: LegacyTable): AsyncGenerator<Map<number, LegacyRow>> {
  const total = await source.count(table);
  let [afterId, done] = [0, 0];
  for (;;) {
    const rows = await source.read(table, { afterId, limit: BATCH });
    const byId = new Map(rows.map((row) => [Number(row['id']), row]));
    if (byId.size === 0) return;
    yield byId;
    afterId = Math.max(...byId.keys());
    done += byId.size;
    onProgress({ table, done, total });
  }
}

async function importUsers(context: Context): Promise<void> {
  const { db, report, userIds } = context;
  for await (const rows of batches(context, 'users')) {
    const takenOver = await findTakenOver(db, 'user', [...rows.keys()]);
    for (const [legacyId, row] of rows) {
      const user = readOr(context, 'users', { legacyId, label: String(row['username']) }, translateUser(row));
      const knownId = takenOver.get(legacyId);
      if (!user) continue;
      if (knownId !== undefined) {
        report.count('users', 'already');
        if (!(await isStillHere(db, knownId, user.username))) {
          report.change(
            'users',
            { legacyId, label: user.username },
            'was deleted here: nothing more is taken over for it',
          );
          continue;
        }
        userIds.set(legacyId, { id: knownId, isRoot: user.isRoot });
      } else userIds.set(legacyId, await takeUser(context, legacyId, user));
    }
  }
  const hasRoot = [...userIds.values()].some(({ isRoot }) => isRoot) || (await findUserByName(db, 'root'));
  if (!hasRoot) report.note('users', 'there is no user root, so nobody can manage users');
}

/**
 * Whether a user that was taken over has not been deleted since.
 * @throws where it is another one: another first BJR's ids mean other things, and its rows would be passed over in silence
 */
async function isStillHere(db: Database, id: number, username: string): Promise<boolean> {
  const user = await findUser(db, id);
  if (user && foldName(user.username) !== foldName(username))
    throw new Error(`An import from another database was made before: its user ${username} was ${user.username}`);
  return user !== undefined;
}

type NewUser = Extract<ReturnType<typeof translateUser>, { value: unknown }>['value'];

async function takeUser(context: Context, legacyId: number, user: NewUser): Promise<{ id: number; isRoot: boolean }> {
  const { db, report, isDryRun, hasLegacyPasswords } = context;
  const existing = await findUserByName(db, user.username);
  if (existing) {
    const password = hasLegacyPasswords ? 'with the password from there' : 'with the password that it has here';
    report.change(
      'users',
      { legacyId, label: user.username },
      `is here already: its jobs are added to it, ${password}`,
    );
    if (!isDryRun)
      await db.transact(async (tx) => {
        if (hasLegacyPasswords) await updatePassword(tx, existing.id, user.passwordDigest);
        await noteTakenOver(tx, 'user', new Map([[legacyId, existing.id]]));
      });
    report.count('users', 'taken');
    return { id: existing.id, isRoot: existing.isRoot };
  }
  report.count('users', 'taken');
  if (isDryRun) return { id: legacyId, isRoot: user.isRoot };
  const values = { ...user, usernameKey: foldName(user.username) };
  const ids = await db.transact((tx) =>
    insertKeepingIds(tx, { kind: 'user', table: users, rows: [{ legacyId, values }] }),
  );
  return { id: newId(context, 'users', { legacyId, label: user.username }, ids), isRoot: user.isRoot };
}

async function importJobs(context: Context): Promise<void> {
  const { db, source, report, isDryRun } = context;
  const now = new Date(await readNowMs(db));
  const names = createNames((userId) => findJobNames(db, userId));
  for await (const rows of batches(context, 'jobs')) {
    const ids = [...rows.keys()];
    const [takenOver, tags] = [await findTakenOver(db, 'job', ids), await source.readTags(ids)];
    const imported: ImportedJob[] = [];
    for (const [legacyId, row] of rows) {
      const label = String(row['name']);
      if (takenOver.has(legacyId)) {
        report.count('jobs', 'already');
        continue;
      }
      const owner = ownerOf(context, 'jobs', { legacyId, label }, row);
      const job = owner && readOr(context, 'jobs', { legacyId, label }, translateJob(row));
      if (!owner || !job) continue;
      const name = await names.choose(owner.id, { legacyId, name: job.name });
      if (name !== job.name)
        report.change('jobs', { legacyId, label }, `the user has a job of this name: now '${name}'`);
      const planned = planJob(context, { ...job, name }, now);
      if (planned.misfire)
        report.change(
          'jobs',
          { legacyId, label },
          `${planned.misfire.count} occurrence(s) missed, recorded as misfires`,
        );
      imported.push({ legacyId, userId: owner.id, ...planned, tags: usableTags(context, { legacyId, label }, tags) });
    }
    report.count('jobs', 'taken', imported.length);
    if (isDryRun || imported.length === 0) continue;
    const taken = await retryTaken(() => db.transact((tx) => insertImportedJobs(tx, imported)));
    for (const { legacyId, job } of imported) newId(context, 'jobs', { legacyId, label: job.name }, taken);
  }
  const unused = await source.countUnusedTags();
  if (unused > 0) report.note('tags', `${unused} that no job has were left out`);
}

const OVERDUE_STEPS_MAX = 20;

/** When the job occurs next; what the first BJR should have run before now is run late, or recorded as missed. */
function planJob({ isMissedRun }: Context, { legacyNextRun, ...job }: LegacyJob, now: Date) {
  const schedule = scheduleOf(job);
  const overdue =
    job.enabled && legacyNextRun && legacyNextRun < now
      ? schedule.next(new Date(legacyNextRun.getTime() - 1000))
      : null;
  const isOverdue = overdue !== null && overdue <= now;
  let misfire: Misfire | null = null;
  if (isOverdue && !isMissedRun) {
    const gap = { schedule, policy: 'skip' as const, catchUpMax: 1, nextRun: overdue, now, graceMs: 0 };
    ({ misfire } = settleSteps(gap, OVERDUE_STEPS_MAX));
  }
  const nextRun = isOverdue && isMissedRun ? overdue : schedule.next(now);
  return { job, nextRun, standing: plan({ enabled: job.enabled, nextRun }, now), misfire };
}

/** As the API would take them: without blanks around them, each once. */
function usableTags(
  { report }: Context,
  row: { legacyId: number; label: string },
  tags: Map<number, string[]>,
): string[] {
  const given = (tags.get(row.legacyId) ?? []).map((name) => name.trim()).filter((name) => name !== '');
  const byKey = new Map(given.map((name) => [foldName(name), name]));
  const usable = [...byKey.values()].filter((name) => name.length <= 255);
  if (usable.length < given.length)
    report.change('jobs', row, 'tags that are the same but for their case, or too long, left out');
  return usable;
}

const readDate = (words: string) => parseDate(words, { timezone: 'UTC', now: new Date() }) ?? undefined;

async function importFolders(context: Context): Promise<void> {
  const { db, report, isDryRun } = context;
  const names = createNames(async (userId) => {
    const { folders: found } = await listFolders(db, { userId, limit: 100_000, offset: 0 });
    return found.map(({ nameKey }) => nameKey);
  });
  for await (const rows of batches(context, 'folders')) {
    const takenOver = await findTakenOver(db, 'folder', [...rows.keys()]);
    for (const [legacyId, row] of rows) {
      const label = String(row['name']);
      if (takenOver.has(legacyId)) {
        report.count('folders', 'already');
        continue;
      }
      const owner = ownerOf(context, 'folders', { legacyId, label }, row);
      const folder = owner && readOr(context, 'folders', { legacyId, label }, translateFolder(row, { readDate }));
      if (!owner || !folder) continue;
      const name = await names.choose(owner.id, { legacyId, name: folder.name });
      if (name !== folder.name)
        report.change('folders', { legacyId, label }, `the user has a folder of this name: now '${name}'`);
      report.count('folders', 'taken');
      if (isDryRun) continue;
      const values = { ...folder, name, nameKey: foldName(name), userId: owner.id };
      const insert = () =>
        db.transact((tx) => insertKeepingIds(tx, { kind: 'folder', table: folders, rows: [{ legacyId, values }] }));
      newId(context, 'folders', { legacyId, label }, await retryTaken(insert));
    }
  }
}

async function importStatistics(context: Context): Promise<void> {
  const { db, report, userIds, isDryRun } = context;
  for await (const rows of batches(context, 'job_stats')) {
    const taken = [...rows].flatMap(([, row]) => {
      const owner = userIds.get(Number(row['user_id']));
      const translated = owner ? translateStatistics(row) : { refused: 'of users who are not taken over' };
      if (!('refused' in translated) && owner) return [{ userId: owner.id, ...translated.value }];
      report.leaveOutMany('job_stats', 'refused' in translated ? translated.refused : '');
      return [];
    });
    report.count('job_stats', 'taken', taken.length);
    if (!isDryRun) await insertImportedStatistics(db, taken);
  }
}

async function importRuns(context: Context): Promise<void> {
  const { db, report, isDryRun } = context;
  for await (const rows of batches(context, 'job_runs')) {
    const takenOver = await findTakenOver(db, 'run', [...rows.keys()]);
    report.count('job_runs', 'already', takenOver.size);
    const jobIds = await findOwners(context, rows);
    const wanted: Omit<ImportedRun, 'output'>[] = [];
    for (const [legacyId, row] of rows) {
      if (takenOver.has(legacyId)) continue;
      const jobId = jobIds.get(Number(row['job_id']));
      const translated = jobId === undefined ? { refused: 'of jobs that are not taken over' } : translateRun(row);
      if ('refused' in translated || jobId === undefined) {
        report.leaveOutMany('job_runs', 'refused' in translated ? translated.refused : '');
        continue;
      }
      for (const change of translated.changes) report.changeMany('job_runs', change);
      wanted.push({ legacyId, jobId, run: translated.value });
    }
    if (isDryRun) report.count('job_runs', 'taken', wanted.length);
    else for await (const part of withOutputs(context, wanted)) await takeRuns(context, part);
  }
}

async function takeRuns({ db, report }: Context, runs: ImportedRun[]): Promise<void> {
  const ids = await retryTaken(() => db.transact((tx) => insertImportedRuns(tx, runs)));
  report.count('job_runs', 'taken', ids.size);
  for (const [legacyId, id] of ids)
    if (id !== legacyId) report.changeMany('job_runs', 'has a new id: its own was taken');
  for (let left = ids.size; left < runs.length; left++)
    report.leaveOutMany('job_runs', 'of jobs that were deleted here');
}

/** The jobs here for the jobs of some runs. A dry run takes the jobs that it would take over. */
async function findOwners(
  { db, isDryRun, source, userIds }: Context,
  rows: Map<number, LegacyRow>,
): Promise<Map<number, number>> {
  const legacyIds = [...new Set([...rows.values()].map((row) => Number(row['job_id'])))];
  const takenOver = await findTakenOver(db, 'job', legacyIds);
  if (!isDryRun) {
    const present = await findJobs(db, [...takenOver.values()]);
    return new Map([...takenOver].filter(([, id]) => present.has(id)));
  }
  const planned = (await source.readJobs(legacyIds)).filter((row) => {
    const owner = userIds.get(Number(row['user_id']));
    return owner && !owner.isRoot && !('refused' in translateJob(row));
  });
  return new Map([...planned.map((row): [number, number] => [Number(row['id']), Number(row['id'])]), ...takenOver]);
}

/** In parts whose outputs are not too much at once. */
async function* withOutputs(context: Context, runs: Omit<ImportedRun, 'output'>[]): AsyncGenerator<ImportedRun[]> {
  const { source, report, outputBytesMax } = context;
  if (runs.length === 0) return;
  const bytes = await source.measureOutputs(runs.map(({ legacyId }) => legacyId));
  for (const part of split(runs, (run) => bytes.get(run.legacyId) ?? 0)) {
    const filled = part.filter(({ legacyId }) => (bytes.get(legacyId) ?? 0) > 0).map(({ legacyId }) => legacyId);
    const outputs = await source.readOutputs(filled);
    yield part.map((run) => {
      const { stdout = '', stderr = '' } = outputs.get(run.legacyId) ?? {};
      const [out, err] = [boundOutput(stdout, outputBytesMax), boundOutput(stderr, outputBytesMax)];
      if (out.isTruncated || err.isTruncated)
        report.changeMany('job_runs', 'output longer than OUTPUT_LIMIT_BYTES: its middle was cut');
      const output = {
        stdout: out.text,
        stdoutBytes: out.bytes,
        stdoutTruncated: out.isTruncated,
        stderr: err.text,
        stderrBytes: err.bytes,
        stderrTruncated: err.isTruncated,
      };
      return { ...run, output };
    });
  }
}

function split<T>(rows: T[], bytesOf: (row: T) => number): T[][] {
  const parts: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    bytes += bytesOf(row);
    if (bytes > OUTPUT_BYTES_BATCH) {
      parts.push([]);
      bytes = bytesOf(row);
    }
    parts.at(-1)?.push(row);
  }
  return parts;
}

interface RowName {
  legacyId: number;
  label: string;
}

/** The value with its changes told; undefined, and told, where the row is refused. */
function readOr<T>({ report }: Context, table: LegacyTable, row: RowName, translated: Translated<T>): T | undefined {
  if ('refused' in translated) {
    report.leaveOut(table, row, translated.refused);
    return undefined;
  }
  for (const change of translated.changes) report.change(table, row, change);
  return translated.value;
}

/** Whose the row is; undefined, and told, where it is nobody's or root's, who owns nothing here. */
function ownerOf({ report, userIds }: Context, table: LegacyTable, name: RowName, row: LegacyRow) {
  const owner = userIds.get(Number(row['user_id']));
  if (owner && !owner.isRoot) return owner;
  report.leaveOut(table, name, owner ? 'root owns no jobs and no folders here' : 'its user is not taken over');
  return undefined;
}

function newId({ report }: Context, table: LegacyTable, row: RowName, ids: Map<number, number>): number {
  const id = ids.get(row.legacyId) ?? row.legacyId;
  if (id !== row.legacyId) report.change(table, row, `its id was taken: now ${id}`);
  return id;
}

/** Names are unique per user. */
function createNames(find: (userId: number) => Promise<string[]>) {
  const taken = new Map<number, Set<string>>();
  return {
    async choose(userId: number, { legacyId, name }: { legacyId: number; name: string }): Promise<string> {
      const keys = taken.get(userId) ?? new Set(await find(userId));
      taken.set(userId, keys);
      let chosen = name;
      while (keys.has(foldName(chosen))) chosen = distinguish(chosen, legacyId);
      keys.add(foldName(chosen));
      return chosen;
    },
  };
}

const TRIES = 5;

/** Somebody else was given an id, or took a name, in the same moment: looked at anew. */
async function retryTaken<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (errorCode(error) !== 'ER_DUP_ENTRY' || tries === TRIES) throw error;
    }
  }
}
