import { and, eq, gte, inArray, or } from 'drizzle-orm';
import { settle } from '../domain/misfire.ts';
import { scheduleOf } from '../domain/schedule.ts';
import { type Database, errorCode, type Queryable, type Transaction } from './database.ts';
import { insertMisfires, type NewMisfire } from './insertMisfires.ts';
import { type DueJob, lockDue } from './lockDue.ts';
import { jobRuns, jobs } from './schema.ts';
import { type ClaimedRun, type Decided, insertRuns, moveOn, takeLeases } from './writeClaim.ts';

export type { ClaimedRun } from './writeClaim.ts';

export interface ClaimOptions {
  workerId: string;
  /** The most leases to take: the worker's free slots. */
  limit: number;
  leaseMs: number;
  misfireGraceMs: number;
  /** What is due so soon is claimed too, and is to be started at its instant (`dueAt`). */
  earlyMs?: number;
}

export interface Claim {
  runs: ClaimedRun[];
  misfires: NewMisfire[];
  /** Jobs whose stored schedule can no longer be read (a time zone that was dropped, say): they are put to idle. */
  broken: { jobId: number; error: unknown }[];
  /** Due rows looked at. As many as the limit: more may be due. */
  examined: number;
  /** The database's clock at the claim, milliseconds of the epoch with fractions. */
  databaseNowMs: number;
}

/**
 * Takes leases on due jobs: in one short transaction the rows are locked in the order of the claim's index (with a
 * filesort InnoDB would lock every row that it scans), the occurrences decided, the runs inserted, and the leases,
 * fencing tokens and next occurrences written. Rows that another claim holds are passed over, not waited for.
 */
export async function claimRuns(db: Database, options: ClaimOptions): Promise<Claim> {
  try {
    return await db.transact((tx) => claim(tx, options, false));
  } catch (error) {
    // An occurrence has its run already: the clock or the schedule went back. Such occurrences are passed over.
    if (errorCode(error) !== 'ER_DUP_ENTRY') throw error;
    return db.transact((tx) => claim(tx, options, true));
  }
}

async function claim(tx: Transaction, options: ClaimOptions, isRepeat: boolean): Promise<Claim> {
  const due = await lockDue(tx, options);
  const databaseNowMs = (due[0]?.nowMicros ?? 0) / 1000;
  const now = new Date(databaseNowMs);
  const taken = isRepeat ? await takenOccurrences(tx, due) : new Set<string>();
  // What is claimed early is decided as at its instant; what is due already is not passed over for one that is to come.
  const at = ({ dueAt }: DueJob) => (dueAt && dueAt > now ? dueAt : now);
  const decided = due.map((job) => decide(job, { now: at(job), graceMs: options.misfireGraceMs, taken }));
  const toRun = decided.filter((decision) => decision.willRun);
  const runs = await insertRuns(tx, toRun, { now, workerId: options.workerId });
  await takeLeases(tx, toRun, runs, options);
  await moveOn(
    tx,
    decided.filter((decision) => !decision.willRun),
    now,
  );
  const misfires = decided.flatMap(({ misfire }) => misfire ?? []);
  await insertMisfires(tx, misfires);
  const broken = decided.flatMap(({ job, error }) => (error === undefined ? [] : { jobId: job.id, error }));
  return { runs, misfires, broken, examined: due.length, databaseNowMs };
}

interface Decision extends Decided {
  willRun: boolean;
  misfire: NewMisfire | null;
  error?: unknown;
}

interface DecideOptions {
  now: Date;
  graceMs: number;
  taken: Set<string>;
}

/** One job that cannot be decided must not keep the batch from running. */
function decide(job: DueJob, options: DecideOptions): Decision {
  const { scheduledFor } = job;
  if (job.trigger !== 'schedule') {
    const willRun = scheduledFor === null || !options.taken.has(occurrenceKey(job.id, scheduledFor));
    return { job, willRun, scheduledFor, ...settleBefore(job, options) };
  }
  try {
    return decideOccurrence(job, options);
  } catch (error) {
    return { job, willRun: false, scheduledFor: null, nextRun: null, misfire: null, error };
  }
}

/** What passed while a retry or a run by hand waited for a worker was not missed because of that run, which begins only now. */
function settleBefore(job: DueJob, options: DecideOptions): Pick<Decision, 'nextRun' | 'misfire'> {
  const { nextRun } = job;
  if (!job.enabled || nextRun === null) return { nextRun, misfire: null };
  try {
    return settleOverdue(job, nextRun, options);
  } catch {
    // The schedule can no longer be read: the next claim says so.
    return { nextRun, misfire: null };
  }
}

function settleOverdue(job: DueJob, nextRun: Date, { now, graceMs }: DecideOptions) {
  const { misfirePolicy: policy, catchUpMax } = job;
  const settled = settle({ schedule: scheduleOf(job), policy, catchUpMax, nextRun, now, graceMs });
  const { misfire } = settled;
  const noted = misfire && { jobId: job.id, userId: job.userId, reason: 'down' as const, policy, ...misfire };
  return { ...settled, misfire: noted };
}

function decideOccurrence(job: DueJob, options: DecideOptions): Decision {
  if (!job.nextRun) return { job, willRun: false, scheduledFor: null, nextRun: null, misfire: null };
  const { nextRun: occurrence, isComplete, misfire } = settleOverdue(job, job.nextRun, options);
  const willRun = isComplete && occurrence !== null && occurrence <= options.now;
  if (!willRun || !occurrence) return { job, willRun: false, scheduledFor: null, nextRun: occurrence, misfire };
  const isTaken = options.taken.has(occurrenceKey(job.id, occurrence));
  const nextRun = scheduleOf(job).next(occurrence);
  return { job, willRun: !isTaken, scheduledFor: occurrence, nextRun, misfire };
}

async function takenOccurrences(tx: Queryable, due: DueJob[]): Promise<Set<string>> {
  const rows = await tx
    .select({ jobId: jobRuns.jobId, scheduledFor: jobRuns.scheduledFor })
    .from(jobRuns)
    .innerJoin(jobs, and(eq(jobs.id, jobRuns.jobId), eq(jobRuns.attempt, jobs.attempt)))
    .where(
      and(
        inArray(
          jobs.id,
          due.map((job) => job.id),
        ),
        or(gte(jobRuns.scheduledFor, jobs.nextRun), eq(jobRuns.scheduledFor, jobs.scheduledFor)),
      ),
    );
  return new Set(rows.flatMap((row) => (row.scheduledFor ? [occurrenceKey(row.jobId, row.scheduledFor)] : [])));
}

const occurrenceKey = (jobId: number, occurrence: Date) => `${jobId}@${occurrence.getTime()}`;
