import { and, eq } from 'drizzle-orm';
import type { Outcome } from '../domain/outcome.ts';
import { addRun } from '../domain/statistics.ts';
import type { Database, Queryable, Transaction } from './database.ts';
import { type GivenUp, giveUpLeases, type LeasedJob, type LeaseEnd, lockLeasedJobs } from './giveUpLeases.ts';
import { instantCell, rowsParameter, textCell } from './rowsParameter.ts';
import { jobRuns } from './schema.ts';

export interface RunOutcome {
  runId: number;
  jobId: number;
  leaseToken: number;
  scheduledFor: Date | null;
  attempt: number;
  outcome: Outcome;
  returnCode: number;
  errorMessage: string;
  startedAt: Date;
  finishedAt: Date;
  output: RunOutput;
}

export interface RunOutput {
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

/** `lost`: the lease has moved on or the run has ended otherwise; nothing was written. */
export type Recorded = ({ result: 'recorded' } & GivenUp) | { result: 'lost' };

/**
 * Ends a run and gives its lease up, in one transaction and only where job id, run id and fencing token still match.
 * Lock order everywhere: the job's row, then its run's.
 */
export function recordOutcome(db: Database, outcome: RunOutcome): Promise<Recorded> {
  return db.transact(async (tx) => {
    const [recorded] = await recordAll(tx, [outcome], { isWaiting: true });
    return recorded ?? ((await isRecorded(tx, outcome)) ? ALREADY_RECORDED : { result: 'lost' });
  });
}

/**
 * The same for many runs in one transaction and as many statements as for one. Null: its lease is lost, or its job's row is
 * held by another, for which a group does not wait; recordOutcome finds out which. An error: none was recorded.
 */
export function recordOutcomes(db: Database, outcomes: RunOutcome[]): Promise<(Recorded | null)[]> {
  return db.transact((tx) => recordAll(tx, outcomes, { isWaiting: false }));
}

async function recordAll(
  tx: Transaction,
  outcomes: RunOutcome[],
  options: { isWaiting: boolean },
): Promise<(Recorded | null)[]> {
  const jobIds = outcomes.map(({ jobId }) => jobId);
  const jobs = new Map((await lockLeasedJobs(tx, jobIds, options)).map((job) => [job.id, job]));
  const held = outcomes.flatMap((outcome) => {
    const job = jobs.get(outcome.jobId);
    return job?.leaseToken === outcome.leaseToken ? [{ job, outcome }] : [];
  });
  const ended = held.map(({ outcome }) => outcome);
  if (!(await finishRuns(tx, ended))) {
    // Its lease is held and its run is over all the same: nothing that this program does.
    if (outcomes.length > 1) throw new Error('One of these runs has ended already');
    return [null];
  }
  await insertOutputs(tx, ended);
  const given = await giveUpLeases(tx, held.map(toLeaseEnd), 'overlap');
  const results = new Map(ended.map((outcome, at) => [outcome, given[at]]));
  return outcomes.map((outcome) => {
    const givenUp = results.get(outcome);
    return givenUp ? { result: 'recorded', ...givenUp } : null;
  });
}

const ALREADY_RECORDED: Recorded = { result: 'recorded', misfire: null, dueAt: null, hasCallback: false };

/** An earlier try was committed, and its answer never arrived. */
async function isRecorded(tx: Queryable, { runId, leaseToken, outcome, finishedAt }: RunOutcome): Promise<boolean> {
  const same = and(
    eq(jobRuns.id, runId),
    eq(jobRuns.leaseToken, leaseToken),
    eq(jobRuns.outcome, outcome),
    eq(jobRuns.finishedAt, finishedAt),
  );
  return (await tx.$count(jobRuns, same)) === 1;
}

/** `startedAt` is left as it is where nobody knows it. */
export type RunEnd = Omit<RunOutcome, 'jobId' | 'scheduledFor' | 'attempt' | 'output' | 'startedAt'> & {
  startedAt?: Date;
};

const ENDS = rowsParameter<RunEnd>('v', {
  id: ['BIGINT', ({ runId }) => runId],
  token: ['BIGINT', ({ leaseToken }) => leaseToken],
  outcome: ['VARCHAR(16)', ({ outcome }) => outcome],
  return_code: ['INT', ({ returnCode }) => returnCode],
  error_message: ['TEXT', ({ errorMessage }) => textCell(errorMessage)],
  started_at: ['DATETIME(6)', ({ startedAt }) => instantCell(startedAt)],
  finished_at: ['DATETIME(6)', ({ finishedAt }) => instantCell(finishedAt)],
});
const FINISH = `UPDATE ${ENDS.table}
  STRAIGHT_JOIN job_runs FORCE INDEX (PRIMARY)
    ON job_runs.id = v.id AND job_runs.lease_token = v.token AND job_runs.outcome IS NULL
  SET job_runs.outcome = v.outcome, job_runs.return_code = v.return_code, job_runs.error_message = v.error_message,
    job_runs.started_at = COALESCE(v.started_at, job_runs.started_at), job_runs.finished_at = v.finished_at,
    job_runs.updated_at = UTC_TIMESTAMP(6)`;

/** Writes the runs' one terminal state. False: one of them has it already, or is another lease's; roll back what was written. */
export async function finishRuns(tx: Transaction, ends: RunEnd[]): Promise<boolean> {
  if (ends.length === 0) return true;
  const { affectedRows } = await tx.write(FINISH, [ENDS.encode(ends)]);
  return affectedRows === ends.length;
}

const OUTPUTS = `INSERT INTO run_outputs
  (run_id, stdout, stderr, stdout_bytes, stderr_bytes, stdout_truncated, stderr_truncated) VALUES ?`;

async function insertOutputs(tx: Transaction, outcomes: RunOutcome[]): Promise<void> {
  const rows = outcomes.flatMap(({ runId, output }) => {
    const { stdout, stderr, stdoutBytes, stderrBytes, stdoutTruncated, stderrTruncated } = output;
    if (stdoutBytes + stderrBytes === 0) return [];
    return [[runId, stdout, stderr, stdoutBytes, stderrBytes, stdoutTruncated, stderrTruncated]];
  });
  if (rows.length > 0) await tx.write(OUTPUTS, [rows]);
}

/**
 * The job's running sums, one run further. A retry's distance from its occurrence is no lag.
 */
function toLeaseEnd({ job, outcome }: { job: LeasedJob; outcome: RunOutcome }): LeaseEnd {
  const { startedAt, finishedAt, scheduledFor, attempt } = outcome;
  const isOnSchedule = scheduledFor && attempt === 1;
  return {
    job,
    run: outcome,
    lastRun: startedAt,
    durations: addRun(job.durations, finishedAt.getTime() - startedAt.getTime()),
    lags: isOnSchedule ? addRun(job.lags, startedAt.getTime() - scheduledFor.getTime()) : job.lags,
  };
}
