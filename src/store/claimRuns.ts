import { and, asc, eq, gte, inArray, lte, or, type SQL, sql } from 'drizzle-orm';
import { type MisfirePolicy, type Settled, settle } from '../domain/misfire.ts';
import { plan, type Trigger } from '../domain/plan.ts';
import { scheduleOf } from '../domain/schedule.ts';
import { type Database, errorCode, insertId, NOW_MICROS, type Queryable } from './database.ts';
import { insertMisfires, type NewMisfire } from './insertMisfires.ts';
import { NO_LEASE } from './recordOutcome.ts';
import { jobRuns, jobs } from './schema.ts';

export interface ClaimOptions {
  workerId: string;
  /** The most leases to take: the worker's free slots. */
  limit: number;
  leaseMs: number;
  misfireGraceMs: number;
}

/** A run under a lease: what the worker needs to execute and to record it. */
export interface ClaimedRun {
  runId: number;
  jobId: number;
  userId: number;
  jobName: string;
  command: string;
  timezone: string;
  trigger: Trigger;
  attempt: number;
  scheduledFor: Date | null;
  leaseToken: number;
  /** 0: no limit. */
  timeoutSeconds: number;
  env: Record<string, string>;
  /** '': the worker's own. */
  workingDirectory: string;
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

async function claim(tx: Queryable, options: ClaimOptions, isRepeat: boolean): Promise<Claim> {
  const due = await lockDue(tx, options.limit);
  const databaseNowMs = (due[0]?.nowMicros ?? 0) / 1000;
  const now = new Date(databaseNowMs);
  const taken = isRepeat ? await takenOccurrences(tx, due) : new Set<string>();
  const decided = due.map((job) => decide(job, { now, graceMs: options.misfireGraceMs, taken }));
  const toRun = decided.filter((decision) => decision.willRun);
  const runs = await insertRuns(tx, toRun, { now, workerId: options.workerId });
  await lease(tx, toRun, runs, options);
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

type DueJob = Awaited<ReturnType<typeof lockDue>>[number];

/** The claim's one read. Exported for the test that reads its plan and its locks. */
export function lockDue(tx: Queryable, limit: number) {
  return tx
    .select({
      id: jobs.id,
      userId: jobs.userId,
      name: jobs.name,
      command: jobs.command,
      cron: jobs.cron,
      timezone: jobs.timezone,
      enabled: jobs.enabled,
      misfirePolicy: jobs.misfirePolicy,
      catchUpMax: jobs.catchUpMax,
      startsAt: jobs.startsAt,
      endsAt: jobs.endsAt,
      timeoutSeconds: jobs.timeoutSeconds,
      env: jobs.env,
      workingDirectory: jobs.workingDirectory,
      nextRun: jobs.nextRun,
      scheduledFor: jobs.scheduledFor,
      trigger: jobs.trigger,
      attempt: jobs.attempt,
      leaseToken: jobs.leaseToken,
      nowMicros: NOW_MICROS,
    })
    .from(jobs, { forceIndex: 'jobs_claim' })
    .where(and(eq(jobs.state, 'due'), lte(jobs.dueAt, sql`UTC_TIMESTAMP(6)`)))
    .orderBy(asc(jobs.dueAt), asc(jobs.id))
    .limit(limit)
    .for('update', { skipLocked: true });
}

interface Decision {
  job: DueJob;
  willRun: boolean;
  scheduledFor: Date | null;
  nextRun: Date | null;
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

async function insertRuns(
  tx: Queryable,
  decisions: Decision[],
  { now, workerId }: { now: Date; workerId: string },
): Promise<ClaimedRun[]> {
  if (decisions.length === 0) return [];
  const rows = decisions.map(({ job, scheduledFor }) => ({
    jobId: job.id,
    userId: job.userId,
    trigger: job.trigger,
    scheduledFor,
    attempt: job.attempt,
    leaseToken: job.leaseToken + 1,
    workerId,
    startedAt: now,
    createdAt: now,
    updatedAt: now,
  }));
  // A multi-row insert of known length gets consecutive ids (InnoDB's "simple insert", in every autoinc lock mode).
  const firstId = insertId(await tx.insert(jobRuns).values(rows));
  return decisions.map(({ job, scheduledFor }, index) => ({
    runId: firstId + index,
    jobId: job.id,
    userId: job.userId,
    jobName: job.name,
    command: job.command,
    timezone: job.timezone,
    trigger: job.trigger,
    attempt: job.attempt,
    scheduledFor,
    leaseToken: job.leaseToken + 1,
    timeoutSeconds: job.timeoutSeconds,
    env: job.env,
    workingDirectory: job.workingDirectory,
  }));
}

async function lease(tx: Queryable, decisions: Decision[], runs: ClaimedRun[], options: ClaimOptions): Promise<void> {
  if (decisions.length === 0) return;
  const nextRunOf = new Map(decisions.map(({ job, nextRun }) => [job.id, nextRun]));
  const runIdOf = new Map(runs.map((run) => [run.jobId, run.runId]));
  const ids = runs.map((run) => run.jobId);
  await tx
    .update(jobs)
    .set({
      state: 'leased',
      dueAt: null,
      leaseOwner: options.workerId,
      leaseToken: sql`${jobs.leaseToken} + 1`,
      leaseExpiresAt: sql`UTC_TIMESTAMP(6) + INTERVAL ${options.leaseMs * 1000} MICROSECOND`,
      nextRun: byId(ids, (id) => sqlInstant(nextRunOf.get(id) ?? null)),
      runId: byId(ids, (id) => sql`${runIdOf.get(id) ?? null}`),
    })
    .where(inArray(jobs.id, ids));
}

/** A different value for each row of one update, by primary key. */
function byId(ids: number[], value: (id: number) => SQL): SQL {
  const branches = ids.map((id) => sql`WHEN ${id} THEN ${value(id)}`);
  return sql`CASE ${jobs.id} ${sql.join(branches, sql` `)} END`;
}

function sqlInstant(instant: Date | null): SQL {
  return instant ? sql`CAST(${instant.toISOString().slice(0, -1)} AS DATETIME(6))` : sql`NULL`;
}

/** Jobs that were due and are not run now: their next occurrence decides where they stand. */
async function moveOn(tx: Queryable, decisions: Decision[], now: Date): Promise<void> {
  for (const { job, nextRun } of decisions) {
    const standing = plan({ enabled: job.enabled, nextRun }, now);
    await tx
      .update(jobs)
      .set({ ...NO_LEASE, nextRun, ...standing })
      .where(eq(jobs.id, job.id));
  }
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
