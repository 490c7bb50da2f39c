import { AppError } from '../domain/errors.ts';
import { findProblems, type JobDefinition } from '../domain/job.ts';
import { parseSchedule } from '../domain/schedule.ts';
import { resolveTimezone } from '../domain/timezone.ts';
import { errorCode, readNowMs } from '../store/database.ts';
import {
  deleteJob as deleteJobRow,
  findJob,
  insertJob,
  type Job,
  type JobWrite,
  listJobs as listJobRows,
  lockJob,
  makeDueNow,
  updateJob as updateJobRow,
} from '../store/jobs.ts';
import { listRuns, type RunFilter } from '../store/runs.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

/** What a user sent: absent fields keep what they are. */
export type JobInput = Partial<JobWrite>;

const NEW_JOB: JobDefinition = {
  name: '',
  command: '',
  cron: '',
  timezone: 'UTC',
  enabled: true,
  successCallback: '',
  failureCallback: '',
};

/** Jobs belong to users; root manages users and owns none. @throws {AppError} root_refused */
function ownerOf(caller: Caller): number {
  if (caller.isRoot) throw new AppError({ code: 'root_refused' });
  return caller.userId;
}

export async function listJobs({ db }: ServiceParts, caller: Caller, page: Page) {
  return listJobRows(db, { userId: ownerOf(caller), ...page });
}

export async function getJob({ db }: ServiceParts, caller: Caller, id: number): Promise<Job> {
  const job = await findJob(db, { id, userId: ownerOf(caller) });
  if (!job) throw new AppError({ code: 'job_not_found' });
  return job;
}

export async function createJob(parts: ServiceParts, caller: Caller, input: JobInput): Promise<Job> {
  const userId = ownerOf(caller);
  const job = check({ ...NEW_JOB, ...input });
  const id = await uniquely(parts.db.transact((tx) => insertJob(tx, userId, job)));
  return announce(parts, caller, id);
}

export async function updateJob(parts: ServiceParts, caller: Caller, id: number, input: JobInput): Promise<Job> {
  const userId = ownerOf(caller);
  const update = parts.db.transact(async (tx) => {
    const current = await lockJob(tx, { id, userId });
    if (!current) throw new AppError({ code: 'job_not_found' });
    const { name, command, cron, timezone, enabled, successCallback, failureCallback } = current;
    const present = { name, command, cron, timezone, enabled, successCallback, failureCallback };
    await updateJobRow(tx, current, check({ ...present, ...input }));
  });
  await uniquely(update);
  return announce(parts, caller, id);
}

export async function deleteJob(parts: ServiceParts, caller: Caller, id: number): Promise<Job> {
  const userId = ownerOf(caller);
  const job = await getJob(parts, caller, id);
  await parts.db.transact(async (tx) => {
    const current = await lockJob(tx, { id, userId });
    if (!current) throw new AppError({ code: 'job_not_found' });
    if (current.state === 'leased') throw new AppError({ code: 'job_undeletable', jobId: id });
    await deleteJobRow(tx, id);
  });
  return job;
}

/** Makes the job due at once, enabled or not. @throws {AppError} job_running also where a run by hand is waiting already */
export async function runJobNow({ db, wakeUps }: ServiceParts, caller: Caller, id: number): Promise<void> {
  const userId = ownerOf(caller);
  await db.transact(async (tx) => {
    const current = await lockJob(tx, { id, userId });
    if (!current) throw new AppError({ code: 'job_not_found' });
    const isAskedFor = current.state === 'due' && current.trigger === 'manual';
    if (current.state === 'leased' || isAskedFor) throw new AppError({ code: 'job_running', jobId: id });
    await makeDueNow(tx, id);
  });
  await wakeUps.send();
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

/** The job's occurrences from its next one until an end, by its schedule and whether or not it is enabled. */
export async function getOccurrences(
  parts: ServiceParts,
  caller: Caller,
  { jobId, until, page }: { jobId: number; until: Date; page: Page },
): Promise<{ occurrences: Date[]; total: number }> {
  const job = await getJob(parts, caller, jobId);
  const schedule = parseSchedule(job.cron, job.timezone);
  const all: Date[] = [];
  let next = schedule.next(new Date(await readNowMs(parts.db)));
  for (; next && next <= until && all.length < OCCURRENCES_MAX; next = schedule.next(next)) all.push(next);
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

const TAG_LENGTH_MAX = 255;

function tagProblems(tags: string[] | undefined): string[] {
  const isTooLong = tags?.some((tag) => tag.length > TAG_LENGTH_MAX);
  const isUnprintable = tags?.some((tag) => tag.includes('\0'));
  return [
    ...(isTooLong ? [`Tags: each is at most ${TAG_LENGTH_MAX} characters`] : []),
    ...(isUnprintable ? ["Tags can't contain a null character"] : []),
  ];
}

async function uniquely<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (errorCode(error) !== 'ER_DUP_ENTRY') throw error;
    throw new AppError({ code: 'invalid', problems: ['Name has already been taken'] }, { cause: error });
  }
}

/** After commit: workers may have to wake earlier than they planned. */
async function announce(parts: ServiceParts, caller: Caller, id: number): Promise<Job> {
  const job = await getJob(parts, caller, id);
  if (job.state === 'due') await parts.wakeUps.send();
  return job;
}
