import { and, asc, desc, eq, getTableColumns, inArray, isNotNull, type SQL, sql } from 'drizzle-orm';
import type { IndexConfig } from 'drizzle-orm/mysql-core';
import type { JobDefinition } from '../domain/job.ts';
import { settleSteps } from '../domain/misfire.ts';
import { foldName } from '../domain/name.ts';
import { plan } from '../domain/plan.ts';
import { scheduleOf } from '../domain/schedule.ts';
import type { Term } from '../domain/search/term.ts';
import { countJobs } from './countJobs.ts';
import { affectedRows, insertId, type Queryable, readNowMs, type Transaction } from './database.ts';
import { NO_LEASE } from './giveUpLeases.ts';
import { insertMisfires } from './insertMisfires.ts';
import { matchingJobs } from './matchingJobs.ts';
import { prepare, readQuickly } from './prepare.ts';
import { jobRuns, jobs, jobTags, purges, users } from './schema.ts';
import { setTags, tagNames } from './tags.ts';
import type { Owner } from './users.ts';

export type JobRow = typeof jobs.$inferSelect;
export type Job = JobRow & { tags: string[] };
/** A definition with the tags to set; without tags the present ones stay. */
export type JobWrite = JobDefinition & { tags?: string[] };

export async function findJob(db: Queryable, { id, userId }: { id: number; userId: number }): Promise<Job | undefined> {
  const [found] = await jobById(db).execute({ id, userId });
  return found;
}

/** Flat: a page of jobs is most of what the API answers, and each object within costs another copy. */
const JOB = { ...getTableColumns(jobs), tags: tagNames };

const jobById = prepare((db) =>
  db
    .select(JOB)
    .from(jobs)
    .where(and(eq(jobs.id, sql.placeholder('id')), eq(jobs.userId, sql.placeholder('userId'))))
    .prepare(),
);

export interface JobList {
  owner: Owner;
  terms: Term[];
  limit: number;
  offset: number;
}

/** A page of the user's jobs for which all terms hold, by their next run, and how many there are on all pages. */
export async function listJobs(
  db: Queryable,
  { owner, terms, limit, offset }: JobList,
): Promise<{ jobs: Job[]; total: number }> {
  if (terms.length > 0 || offset >= DEEP) return listCounted(db, { owner, terms, limit, offset });
  const rows = await pageOfAll(db).execute({ userId: owner.userId, limit, offset });
  return { jobs: rows, total: owner.jobCount };
}

/** From here on it pays to know how many there are before the page is read. */
const DEEP = 1000;

/**
 * An offset is read and thrown away: in the second half of a list it is counted from the end. Where few match, all of them are
 * found and sorted: in the order of the list nearly all jobs would be read for them.
 */
async function listCounted(
  db: Queryable,
  { owner, terms, limit, offset }: JobList,
): Promise<{ jobs: Job[]; total: number }> {
  const total = await countJobs(db, owner, terms);
  const left = total - offset;
  if (left <= 0) return { jobs: [], total };
  const isNearEnd = left < offset;
  const size = Math.min(limit, left);
  const matching = await matchingJobs(db, owner, terms);
  const areFew = total ** 2 < owner.jobCount * Math.min(left, offset + size);
  const index = areFew ? matching.index : LISTED;
  const statement = readQuickly(pageOf(db, { ...matching, index, direction: isNearEnd ? desc : asc }));
  const rows = await statement.execute({ limit: size, offset: isNearEnd ? left - size : offset });
  return { jobs: rows, total };
}

const LISTED: IndexConfig = { forceIndex: 'jobs_list' };

/** The page is found in the index first: rows, which may hold long commands, are read for it only. */
function pageOf(
  db: Queryable,
  { where, index = LISTED, direction = asc }: { where: SQL | undefined; index?: IndexConfig; direction?: typeof asc },
) {
  const page = db
    .select({ id: jobs.id })
    .from(jobs, index)
    .where(where)
    .orderBy(direction(jobs.nextRun), direction(jobs.id))
    .limit(sql.placeholder('limit'))
    .offset(sql.placeholder('offset'))
    .as('page');
  return db
    .select(JOB)
    .from(page)
    .innerJoin(jobs, eq(jobs.id, page.id))
    .orderBy(asc(jobs.nextRun), asc(jobs.id))
    .prepare();
}

const pageOfAll = prepare((db) => pageOf(db, { where: eq(jobs.userId, sql.placeholder('userId')) }));

/** The user's enabled jobs that occur next. */
export async function listUpcoming(db: Queryable, userId: number, limit: number): Promise<Job[]> {
  return db
    .select(JOB)
    .from(jobs)
    .where(and(eq(jobs.userId, userId), eq(jobs.enabled, true), isNotNull(jobs.nextRun)))
    .orderBy(asc(jobs.nextRun), asc(jobs.id))
    .limit(limit);
}

/** The user's jobs that ran last, the latest first. */
export async function listRecent(db: Queryable, userId: number, limit: number): Promise<Job[]> {
  const ids = await recentIds(db, userId, limit);
  if (ids.length === 0) return [];
  return db
    .select(JOB)
    .from(jobs)
    .where(and(eq(jobs.userId, userId), inArray(jobs.id, ids), isNotNull(jobs.lastRun)))
    .orderBy(desc(jobs.lastRun), desc(jobs.id))
    .limit(limit);
}

const RECENT_RUNS = 500;

/** Found by the newest runs, where an index is; where those are of too few jobs, by the jobs themselves. */
async function recentIds(db: Queryable, userId: number, limit: number): Promise<number[]> {
  const newest = await db
    .select({ jobId: jobRuns.jobId })
    .from(jobRuns, { forceIndex: 'job_runs_started' })
    .where(eq(jobRuns.userId, userId))
    .orderBy(desc(jobRuns.startedAt))
    .limit(RECENT_RUNS);
  const ids = [...new Set(newest.map(({ jobId }) => jobId))];
  // A run under way is not its job's last run yet: the jobs at the edge are looked at too.
  if (newest.length < RECENT_RUNS || ids.length > 2 * limit) return ids;
  const rows = await db
    .select({ id: jobs.id })
    .from(jobs)
    .where(and(eq(jobs.userId, userId), isNotNull(jobs.lastRun)))
    .orderBy(desc(jobs.lastRun))
    .limit(limit);
  return rows.map(({ id }) => id);
}

/**
 * Null: the user has been deleted meanwhile; a job would run for nobody. The user's row is locked first, as by the deletion.
 * @throws the database's ER_DUP_ENTRY where the user has a job of this name
 */
export async function insertJob(
  tx: Queryable,
  userId: number,
  { tags = [], ...job }: JobWrite,
): Promise<number | null> {
  const counted = await tx
    .update(users)
    .set({ jobCount: sql`${users.jobCount} + 1`, jobsRevision: sql`${users.jobsRevision} + 1` })
    .where(eq(users.id, userId));
  if (affectedRows(counted) !== 1) return null;
  const now = new Date(await readNowMs(tx));
  const nextRun = scheduleOf(job).next(now);
  const standing = plan({ enabled: job.enabled, nextRun }, now);
  const id = insertId(
    await tx.insert(jobs).values({ userId, ...job, nameKey: foldName(job.name), nextRun, ...standing }),
  );
  await setTags(tx, { id, userId }, tags);
  return id;
}

/** The user's job, locked until the transaction ends. */
export async function lockJob(
  tx: Queryable,
  { id, userId }: { id: number; userId: number },
): Promise<JobRow | undefined> {
  const [job] = await tx
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, id), eq(jobs.userId, userId)))
    .for('update');
  return job;
}

/**
 * Writes changes of its definition to a locked job. Where the schedule changes, the new one is in force from now: occurrences
 * of the old one that were overdue are misfires, and where the job stands is planned anew.
 */
export async function updateJob(
  tx: Queryable,
  current: JobRow,
  { tags, ...changes }: Partial<JobWrite>,
): Promise<void> {
  const job = { ...current, ...changes };
  const definition = {
    ...changes,
    nameKey: foldName(job.name),
    revision: sql`${jobs.revision} + 1`,
    updatedAt: sql`UTC_TIMESTAMP(6)`,
  };
  await tx
    .update(jobs)
    .set({ ...definition, ...(isScheduleChanged(current, job) ? await reschedule(tx, current, job) : {}) })
    .where(eq(jobs.id, current.id));
  if (tags) await setTags(tx, current, tags);
  await tx
    .update(users)
    .set({ jobsRevision: sql`${users.jobsRevision} + 1` })
    .where(eq(users.id, current.userId));
}

function isScheduleChanged(current: JobRow, job: JobDefinition): boolean {
  return (
    current.cron !== job.cron ||
    current.timezone !== job.timezone ||
    current.enabled !== job.enabled ||
    current.startsAt?.getTime() !== job.startsAt?.getTime() ||
    current.endsAt?.getTime() !== job.endsAt?.getTime()
  );
}

async function reschedule(tx: Queryable, current: JobRow, job: JobDefinition) {
  const now = new Date(await readNowMs(tx));
  await recordOverdue(tx, current, now);
  const nextRun = scheduleOf(job).next(now);
  return isReplanned(current, job)
    ? { ...NO_LEASE, nextRun, ...plan({ enabled: job.enabled, nextRun }, now) }
    : { nextRun };
}

/** A run under way, one asked for by hand and a retry stay as they are; but who disables a job wants no more retries. */
function isReplanned(current: JobRow, job: JobDefinition): boolean {
  if (current.state === 'leased') return false;
  const isRetryUnwanted = current.trigger === 'retry' && current.enabled && !job.enabled;
  return current.state === 'idle' || current.trigger === 'schedule' || isRetryUnwanted;
}

const OVERDUE_STEPS_MAX = 20;

async function recordOverdue(tx: Queryable, current: JobRow, now: Date): Promise<void> {
  const { nextRun, enabled, misfirePolicy: policy, catchUpMax } = current;
  if (!enabled || !nextRun || nextRun > now) return;
  const schedule = scheduleOf(current);
  const overdue = { schedule, policy: 'skip' as const, catchUpMax, nextRun, now, graceMs: 0 };
  const { misfire } = settleSteps(overdue, OVERDUE_STEPS_MAX);
  const reason = current.state === 'leased' ? 'overlap' : 'down';
  if (misfire) await insertMisfires(tx, [{ jobId: current.id, userId: current.userId, reason, policy, ...misfire }]);
}

const MAKE_DUE = `UPDATE jobs SET state = 'due', due_at = UTC_TIMESTAMP(6), trigger_kind = 'manual', scheduled_for = NULL, attempt = 1
  WHERE id = ? AND user_id = ? AND state <> 'leased' AND NOT (state = 'due' AND trigger_kind = 'manual')`;

/**
 * Makes the user's job due at once, whatever its schedule says; its next occurrence stays as it is. False: there is no such job, it
 * runs, or a run by hand waits already.
 */
export async function makeDueNow(tx: Transaction, { id, userId }: { id: number; userId: number }): Promise<boolean> {
  const { affectedRows: made } = await tx.write(MAKE_DUE, [id, userId]);
  return made === 1;
}

/** Removes a locked job; its history is left to the leader (purgeDeleted.ts). */
export async function deleteJob(tx: Queryable, { id, userId }: JobRow): Promise<void> {
  await tx.delete(jobTags).where(eq(jobTags.jobId, id));
  await tx.delete(jobs).where(eq(jobs.id, id));
  await tx.insert(purges).values({ jobId: id });
  await tx
    .update(users)
    .set({ jobCount: sql`${users.jobCount} - 1`, jobsRevision: sql`${users.jobsRevision} + 1` })
    .where(eq(users.id, userId));
}
