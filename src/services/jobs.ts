import { setImmediate } from 'node:timers/promises';
import { type Change as AuditedChange, compareFields, fieldsOfJob } from '../domain/audit.ts';
import { AppError } from '../domain/errors.ts';
import { findProblems, NEW_JOB } from '../domain/job.ts';
import { nameLengthProblems } from '../domain/name.ts';
import { nullCharacter, type Problem, problemIf } from '../domain/problem.ts';
import { scheduleOf } from '../domain/schedule.ts';
import type { Term } from '../domain/search/term.ts';
import { resolveTimezone } from '../domain/timezone.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import { errorCode, type Queryable, readNowMs } from '../store/database.ts';
import {
  deleteJob as deleteJobRow,
  findJob,
  insertJob,
  type Job,
  type JobRow,
  type JobWrite,
  listJobs as listJobRows,
  lockJob,
  makeDueNow,
  updateJob as updateJobRow,
} from '../store/jobs.ts';
import { listRuns, type RunFilter } from '../store/runs.ts';
import { type Idempotency, once } from './idempotency.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

/** What a user sent: absent fields keep what they are. */
export type JobInput = Partial<JobWrite>;

/** Jobs and folders belong to users; root manages users and owns none. @throws {AppError} root_refused */
export function ownerOf(caller: Caller): number {
  if (caller.isRoot) throw new AppError({ code: 'root_refused' });
  return caller.userId;
}

/** The caller's jobs for which all terms hold. */
export async function listJobs({ db }: ServiceParts, caller: Caller, { terms, page }: { terms: Term[]; page: Page }) {
  ownerOf(caller);
  return listJobRows(db, { owner: caller, terms, ...page });
}

export function getJob({ db }: ServiceParts, caller: Caller, id: number): Promise<Job> {
  return readJob(db, ownerOf(caller), id);
}

async function readJob(db: Queryable, userId: number, id: number): Promise<Job> {
  const job = await findJob(db, { id, userId });
  if (!job) throw new AppError({ code: 'job_not_found' });
  return job;
}

function noteChange(tx: Queryable, caller: Caller, change: Omit<AuditedChange, 'kind'>): Promise<void> {
  return insertAuditEntry(tx, caller, { kind: 'job', ...change });
}

const compareJobs = (before: Job | null, after: Job | null) =>
  compareFields(before && fieldsOfJob(before), after && fieldsOfJob(after));

export async function createJob(
  parts: ServiceParts,
  caller: Caller,
  { input, idempotency }: { input: JobInput; idempotency: Idempotency },
): Promise<{ job: Job; isReplay: boolean }> {
  const userId = ownerOf(caller);
  const job = check({ ...NEW_JOB, ...input });
  const make = async (tx: Queryable) => {
    const id = await insertJob(tx, userId, job);
    if (id === null) throw new AppError({ code: 'not_authorized' });
    const created = await readJob(tx, userId, id);
    await noteChange(tx, caller, { operation: 'create', objectId: id, ...compareJobs(null, created) });
    return id;
  };
  const create = parts.db.transact((tx) => once(tx, caller, { idempotency, make: () => make(tx) }));
  const { id, isReplay } = await uniquely(create);
  return { job: await announce(parts, caller, id), isReplay };
}

/** Whether a change may go on, for the job as it is now; null: it may. */
export type Precondition = ((job: Job | JobRow) => boolean) | null;

interface Change {
  id: number;
  precondition: Precondition;
}

/** The job, locked, if it is the caller's and still what the change was made for. @throws {AppError} job_changed */
async function lockFor(tx: Queryable, caller: Caller, { id, precondition }: Change): Promise<JobRow> {
  const job = await lockJob(tx, { id, userId: ownerOf(caller) });
  if (!job) throw new AppError({ code: 'job_not_found' });
  if (precondition && !precondition(job)) throw new AppError({ code: 'job_changed', jobId: id });
  return job;
}

export async function updateJob(
  parts: ServiceParts,
  caller: Caller,
  { input, ...change }: Change & { input: JobInput },
): Promise<Job> {
  const update = parts.db.transact(async (tx) => {
    const current = await lockFor(tx, caller, change);
    check({ ...current, ...input });
    const before = await readJob(tx, current.userId, current.id);
    await updateJobRow(tx, current, input);
    const after = await readJob(tx, current.userId, current.id);
    await noteChange(tx, caller, { operation: 'update', objectId: current.id, ...compareJobs(before, after) });
  });
  await uniquely(update);
  return announce(parts, caller, change.id);
}

export async function deleteJob(parts: ServiceParts, caller: Caller, change: Change): Promise<Job> {
  return parts.db.transact(async (tx) => {
    const current = await lockFor(tx, caller, change);
    if (current.state === 'leased') throw new AppError({ code: 'job_undeletable', jobId: change.id });
    const job = await readJob(tx, current.userId, current.id);
    await deleteJobRow(tx, current);
    await noteChange(tx, caller, { operation: 'delete', objectId: job.id, ...compareJobs(job, null) });
    return job;
  });
}

/** Makes the job due at once, enabled or not. @throws {AppError} job_running also where a run by hand is waiting already */
export async function runJobNow(
  { db, wakeUps }: ServiceParts,
  caller: Caller,
  { id, idempotency }: { id: number; idempotency: Idempotency },
): Promise<{ isReplay: boolean }> {
  const userId = ownerOf(caller);
  const { isReplay } = await db.transact(async (tx) => {
    // Before the key: the answer to a repeated request for a job that is gone is that it is gone.
    if (idempotency) await lockFor(tx, caller, { id, precondition: null });
    const make = async () => {
      if (!(await makeDueNow(tx, { id, userId }))) {
        await lockFor(tx, caller, { id, precondition: null });
        throw new AppError({ code: 'job_running', jobId: id });
      }
      await noteChange(tx, caller, { operation: 'run_now', objectId: id, before: null, after: null });
      return id;
    };
    return once(tx, caller, { idempotency, make });
  });
  await wakeUps.send('jobs');
  return { isReplay };
}

export async function getJobRuns(
  parts: ServiceParts,
  caller: Caller,
  { filter, page }: { filter: RunFilter; page: Page },
) {
  await getJob(parts, caller, filter.jobId);
  return listRuns(parts.db, filter, page);
}

/** A list ends here: nobody reads further, and a job of every second has 86,400 occurrences a day. */
const OCCURRENCES_MAX = 10_000;
const SLICE_MS = 10;

/** The job's occurrences from its next one until an end, by its schedule and whether or not it is enabled. */
export async function getOccurrences(
  parts: ServiceParts,
  caller: Caller,
  { jobId, until, page }: { jobId: number; until: Date; page: Page },
): Promise<{ occurrences: Date[]; total: number }> {
  const job = await getJob(parts, caller, jobId);
  const schedule = scheduleOf(job);
  const all: Date[] = [];
  let next = schedule.next(new Date(await readNowMs(parts.db)));
  let pausedAtMs = performance.now();
  for (; next && next <= until && all.length < OCCURRENCES_MAX; next = schedule.next(next)) {
    all.push(next);
    // Centuries of a rare schedule take seconds, and others wait for this thread.
    if (performance.now() - pausedAtMs < SLICE_MS) continue;
    await setImmediate();
    pausedAtMs = performance.now();
  }
  return { occurrences: all.slice(page.offset, page.offset + page.limit), total: all.length };
}

function check(job: JobWrite): JobWrite {
  if (resolveTimezone(job.timezone) === undefined) {
    throw new AppError({ code: 'invalid_timezone', timezone: job.timezone });
  }
  const problems = [...findProblems(job), ...tagProblems(job.tags)];
  if (problems.length > 0) throw new AppError({ code: 'invalid', problems });
  return job;
}

const TAGS_MAX = 100;

function tagProblems(tags: string[] = []): Problem[] {
  return [
    ...problemIf(tags.length > TAGS_MAX, 'too_many', 'tags', { limit: TAGS_MAX }),
    ...tags.flatMap((tag) => nameLengthProblems('tags', tag)).slice(0, 1),
    ...nullCharacter('tags', tags.join()),
  ];
}

/** @throws {AppError} invalid, where the user has one of this name already */
export async function uniquely<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (errorCode(error) !== 'ER_DUP_ENTRY') throw error;
    throw new AppError({ code: 'invalid', problems: [{ rule: 'taken', field: 'name' }] }, { cause: error });
  }
}

/** After commit: workers may have to wake earlier than they planned. */
async function announce(parts: ServiceParts, caller: Caller, id: number): Promise<Job> {
  const job = await getJob(parts, caller, id);
  if (job.state === 'due') await parts.wakeUps.send('jobs');
  return job;
}
