import { and, asc, eq, sql } from 'drizzle-orm';
import type { JobDefinition } from '../domain/job.ts';
import { settleSteps } from '../domain/misfire.ts';
import { foldName } from '../domain/name.ts';
import { plan } from '../domain/plan.ts';
import { parseSchedule } from '../domain/schedule.ts';
import { insertId, type Queryable, readNowMs } from './database.ts';
import { insertMisfires } from './insertMisfires.ts';
import { jobs, jobTags, purges } from './schema.ts';
import { findTags, setTags } from './tags.ts';

type JobRow = typeof jobs.$inferSelect;
export type Job = JobRow & { tags: string[] };
/** A definition with the tags to set; without tags the present ones stay. */
export type JobWrite = JobDefinition & { tags?: string[] };

export async function findJob(db: Queryable, { id, userId }: { id: number; userId: number }): Promise<Job | undefined> {
  const [job] = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, id), eq(jobs.userId, userId)));
  return job && { ...job, tags: (await findTags(db, [id])).get(id) ?? [] };
}

export async function listJobs(
  db: Queryable,
  { userId, limit, offset }: { userId: number; limit: number; offset: number },
): Promise<{ jobs: Job[]; total: number }> {
  const found = await db
    .select()
    .from(jobs)
    .where(eq(jobs.userId, userId))
    .orderBy(asc(jobs.nextRun), asc(jobs.id))
    .limit(limit)
    .offset(offset);
  const tagsOf = await findTags(
    db,
    found.map(({ id }) => id),
  );
  const total = await db.$count(jobs, eq(jobs.userId, userId));
  return { jobs: found.map((job) => ({ ...job, tags: tagsOf.get(job.id) ?? [] })), total };
}

/** @throws the database's ER_DUP_ENTRY where the user has a job of this name */
export async function insertJob(tx: Queryable, userId: number, { tags = [], ...job }: JobWrite): Promise<number> {
  const now = new Date(await readNowMs(tx));
  const nextRun = parseSchedule(job.cron, job.timezone).next(now);
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
 * Writes a new definition over a locked job. Where the schedule changes, the new one is in force from now: occurrences
 * of the old one that were overdue are misfires, and where the job stands is planned anew; a lease and a run that was
 * asked for by hand stay as they are.
 */
export async function updateJob(tx: Queryable, current: JobRow, { tags, ...job }: JobWrite): Promise<void> {
  const definition = { ...job, nameKey: foldName(job.name), updatedAt: sql`UTC_TIMESTAMP(6)` };
  await tx
    .update(jobs)
    .set({ ...definition, ...(isScheduleChanged(current, job) ? await reschedule(tx, current, job) : {}) })
    .where(eq(jobs.id, current.id));
  if (tags) await setTags(tx, current, tags);
}

function isScheduleChanged(current: JobRow, job: JobDefinition): boolean {
  return current.cron !== job.cron || current.timezone !== job.timezone || current.enabled !== job.enabled;
}

async function reschedule(tx: Queryable, current: JobRow, job: JobDefinition) {
  const now = new Date(await readNowMs(tx));
  await recordOverdue(tx, current, now);
  const nextRun = parseSchedule(job.cron, job.timezone).next(now);
  const isScheduled = current.state !== 'leased' && current.trigger === 'schedule';
  return isScheduled || current.state === 'idle'
    ? { nextRun, trigger: 'schedule' as const, ...plan({ enabled: job.enabled, nextRun }, now) }
    : { nextRun };
}

const OVERDUE_STEPS_MAX = 20;

async function recordOverdue(tx: Queryable, current: JobRow, now: Date): Promise<void> {
  const { nextRun, enabled, misfirePolicy: policy, catchUpMax } = current;
  if (!enabled || !nextRun || nextRun > now) return;
  const schedule = parseSchedule(current.cron, current.timezone);
  const overdue = { schedule, policy: 'skip' as const, catchUpMax, nextRun, now, graceMs: 0 };
  const { misfire } = settleSteps(overdue, OVERDUE_STEPS_MAX);
  const reason = current.state === 'leased' ? 'overlap' : 'down';
  if (misfire) await insertMisfires(tx, [{ jobId: current.id, userId: current.userId, reason, policy, ...misfire }]);
}

/** Makes a locked job due at once, whatever its schedule says; its next occurrence stays as it is. */
export async function makeDueNow(tx: Queryable, id: number): Promise<void> {
  await tx
    .update(jobs)
    .set({ state: 'due', dueAt: sql`UTC_TIMESTAMP(6)`, trigger: 'manual', attempt: 1 })
    .where(eq(jobs.id, id));
}

/** Removes a locked job; its history is left to the leader (purgeDeleted.ts). */
export async function deleteJob(tx: Queryable, id: number): Promise<void> {
  await tx.delete(jobTags).where(eq(jobTags.jobId, id));
  await tx.delete(jobs).where(eq(jobs.id, id));
  await tx.insert(purges).values({ jobId: id });
}
