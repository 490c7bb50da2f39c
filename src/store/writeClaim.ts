import { plan, type Standing, type Trigger } from '../domain/plan.ts';
import type { Transaction } from './database.ts';
import type { DueJob } from './lockDue.ts';
import { instantCell, rowsParameter } from './rowsParameter.ts';

/* What a claim writes: as many statements for many jobs as for one. Their rows are locked by its read. */

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
  /** Not to be started before. */
  dueAt: Date;
  leaseToken: number;
  /** 0: no limit. */
  timeoutSeconds: number;
  env: Record<string, string>;
  /** '': the worker's own. */
  workingDirectory: string;
}

/** What is to become of a due job. */
export interface Decided {
  job: DueJob;
  scheduledFor: Date | null;
  nextRun: Date | null;
}

const INSERT_RUNS = `INSERT INTO job_runs (job_id, user_id, trigger_kind, scheduled_for, attempt, lease_token, worker_id,
  started_at, created_at, updated_at) VALUES ?`;

/** The run of each job that runs, in their order. */
export async function insertRuns(
  tx: Transaction,
  decisions: Decided[],
  { now, workerId }: { now: Date; workerId: string },
): Promise<ClaimedRun[]> {
  if (decisions.length === 0) return [];
  const rows = decisions.map(({ job, scheduledFor }) => {
    const { id, userId, trigger, attempt, leaseToken } = job;
    const dueAt = job.dueAt ?? now;
    // Until the run is recorded it begins with the claim, or at its instant where the claim is early.
    const startedAt = dueAt > now ? dueAt : now;
    return [id, userId, trigger, scheduledFor, attempt, leaseToken + 1, workerId, startedAt, now, now];
  });
  // A multi-row insert of known length gets consecutive ids (InnoDB's "simple insert", in every autoinc lock mode); servers that
  // replicate to each other, as in Galera, count in steps.
  const { insertId: firstId } = await tx.write(INSERT_RUNS, [rows]);
  return decisions.map(({ job, scheduledFor }, index) => ({
    runId: firstId + index * job.idStep,
    jobId: job.id,
    userId: job.userId,
    jobName: job.name,
    command: job.command,
    timezone: job.timezone,
    trigger: job.trigger,
    attempt: job.attempt,
    scheduledFor,
    dueAt: job.dueAt ?? now,
    leaseToken: job.leaseToken + 1,
    timeoutSeconds: job.timeoutSeconds,
    env: job.env,
    workingDirectory: job.workingDirectory,
  }));
}

interface Lease {
  run: ClaimedRun;
  nextRun: Date | null;
}

const LEASES = rowsParameter<Lease>('v', {
  id: ['BIGINT', ({ run }) => run.jobId],
  token: ['BIGINT', ({ run }) => run.leaseToken],
  next_run: ['DATETIME(6)', ({ nextRun }) => instantCell(nextRun)],
  run_id: ['BIGINT', ({ run }) => run.runId],
});
const TAKE = `UPDATE ${LEASES.table} STRAIGHT_JOIN jobs FORCE INDEX (PRIMARY) ON jobs.id = v.id
  SET jobs.state = 'leased', jobs.due_at = NULL, jobs.lease_owner = ?, jobs.lease_token = v.token,
    jobs.lease_expires_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND, jobs.next_run = v.next_run, jobs.run_id = v.run_id`;

/** The leases of jobs that run: fencing tokens, owner, and where their next occurrence is. */
export async function takeLeases(
  tx: Transaction,
  decisions: Decided[],
  runs: ClaimedRun[],
  options: { workerId: string; leaseMs: number },
): Promise<void> {
  if (runs.length === 0) return;
  const leases = runs.map((run, at) => ({ run, nextRun: decisions[at]?.nextRun ?? null }));
  await tx.write(TAKE, [LEASES.encode(leases), options.workerId, options.leaseMs * 1000]);
}

type Move = Pick<Decided, 'job' | 'nextRun'> & { standing: Standing };

const MOVES = rowsParameter<Move>('v', {
  id: ['BIGINT', ({ job }) => job.id],
  state: ['VARCHAR(16)', ({ standing }) => standing.state],
  next_run: ['DATETIME(6)', ({ nextRun }) => instantCell(nextRun)],
  due_at: ['DATETIME(6)', ({ standing }) => instantCell(standing.dueAt)],
});
const MOVE_ON = `UPDATE ${MOVES.table} STRAIGHT_JOIN jobs FORCE INDEX (PRIMARY) ON jobs.id = v.id
  SET jobs.state = v.state, jobs.next_run = v.next_run, jobs.due_at = v.due_at, jobs.trigger_kind = 'schedule',
    jobs.scheduled_for = NULL, jobs.attempt = 1, jobs.lease_owner = NULL, jobs.lease_expires_at = NULL, jobs.run_id = NULL`;

/** Jobs that were due and are not run now: their next occurrence decides where they stand. */
export async function moveOn(tx: Transaction, decisions: Decided[], now: Date): Promise<void> {
  if (decisions.length === 0) return;
  const moves = decisions.map(({ job, nextRun }) => ({
    job,
    nextRun,
    standing: plan({ enabled: job.enabled, nextRun }, now),
  }));
  await tx.write(MOVE_ON, [MOVES.encode(moves)]);
}
