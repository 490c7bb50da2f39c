import { and, eq, gte, inArray, or } from 'drizzle-orm';
import { type MisfirePolicy, type Settled, settle } from '../domain/misfire.ts';
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
  const due = await lockDue(tx, options.limit);
  const databaseNowMs = (due[0]?.nowMicros ?? 0) / 1000;
  const now = new Date(databaseNowMs);
  const taken = isRepeat ? await takenOccurrences(tx, due) : new Set<string>();
  const decided = due.map((job) => decide(job, { now, graceMs: options.misfireGraceMs, taken }));
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
  const { nextRun } = job;
  const { scheduledFor } = job;
  if (job.trigger !== 'schedule') {
    const willRun = scheduledFor === null || !options.taken.has(occurrenceKey(job.id, scheduledFor));
    return { job, willRun, scheduledFor, nextRun, misfire: null };
  }
  try {
    return decideOccurrence(job, options);
  } catch (error) {
    return { job, willRun: false, scheduledFor: null, nextRun: null, misfire: null, error };
  }
}

function decideOccurrence(job: DueJob, { now, graceMs, taken }: DecideOptions): Decision {
  if (!job.nextRun) return { job, willRun: false, scheduledFor: null, nextRun: null, misfire: null };
  const schedule = scheduleOf(job);
  const { misfirePolicy: policy, catchUpMax } = job;
  const settled = settle({ schedule, policy, catchUpMax, nextRun: job.nextRun, now, graceMs });
  const misfire = toMisfire(job, policy, settled);
  const occurrence = settled.nextRun;
  const willRun = settled.isComplete && occurrence !== null && occurrence <= now;
  if (!willRun || !occurrence) return { job, willRun: false, scheduledFor: null, nextRun: occurrence, misfire };
  const nextRun = schedule.next(occurrence);
  const isTaken = taken.has(occurrenceKey(job.id, occurrence));
  return { job, willRun: !isTaken, scheduledFor: occurrence, nextRun, misfire };
}

function toMisfire(job: DueJob, policy: MisfirePolicy, { misfire }: Settled): NewMisfire | null {
  return misfire && { jobId: job.id, userId: job.userId, reason: 'down', policy, ...misfire };
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
