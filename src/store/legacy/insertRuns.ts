import { asc, inArray, sql } from 'drizzle-orm';
import type { LegacyRun } from '../../domain/legacy.ts';
import { addRun, type RunningSums } from '../../domain/statistics.ts';
import type { Queryable } from '../database.ts';
import type { RunOutput } from '../recordOutcome.ts';
import { durationSums, lagSums } from '../runningSums.ts';
import { jobRuns, jobs, runBlocks, runOutputs } from '../schema.ts';
import { insertKeepingIds } from './ids.ts';

export interface ImportedRun {
  legacyId: number;
  jobId: number;
  run: LegacyRun;
  output: RunOutput;
}

/** Who ran them, where a worker's id stands otherwise. */
const WORKER = 'first-bjr';

/**
 * Inserts runs with their outputs and moves their jobs' running sums on, in the order of the runs, as the recording of each would
 * have done. Runs of jobs that are gone are left out. Returns how many were inserted, and under which ids.
 */
export async function insertImportedRuns(tx: Queryable, imported: ImportedRun[]): Promise<Map<number, number>> {
  const standings = await lockJobs(tx, imported);
  const present = imported.filter(({ jobId }) => standings.has(jobId));
  if (present.length === 0) return new Map();
  const attempts = await numberAttempts(tx, present);
  const rows = present.map(({ legacyId, jobId, run }, index) => ({
    legacyId,
    values: {
      ...run,
      jobId,
      userId: standings.get(jobId)?.userId ?? 0,
      attempt: attempts[index] ?? 1,
      leaseToken: 0,
      workerId: WORKER,
    },
  }));
  const ids = await insertKeepingIds(tx, { kind: 'run', table: jobRuns, rows });
  const outputs = present
    .filter(({ output }) => output.stdoutBytes + output.stderrBytes > 0)
    .map(({ legacyId, output }) => ({ runId: ids.get(legacyId) ?? legacyId, ...output }));
  if (outputs.length > 0) await tx.insert(runOutputs).values(outputs);
  for (const [index, { jobId, run }] of present.entries()) {
    const standing = standings.get(jobId);
    if (standing) standings.set(jobId, moveOn(standing, run, attempts[index] ?? 1));
  }
  await writeStandings(tx, standings);
  // They may be older than runs that were sealed here.
  await tx.delete(runBlocks).where(inArray(runBlocks.jobId, [...standings.keys()]));
  return ids;
}

interface Standing {
  userId: number;
  lastRun: Date | null;
  success: boolean | null;
  durations: RunningSums;
  lags: RunningSums;
}

/** Lock order everywhere: the job's row, then its runs'. */
async function lockJobs(tx: Queryable, imported: ImportedRun[]): Promise<Map<number, Standing>> {
  const { id, userId, lastRun, success } = jobs;
  const ids = [...new Set(imported.map(({ jobId }) => jobId))];
  const rows = await tx
    .select({ id, userId, lastRun, success, durations: durationSums, lags: lagSums })
    .from(jobs)
    .where(inArray(jobs.id, ids))
    .orderBy(asc(jobs.id))
    .for('update');
  return new Map(rows.map(({ id: jobId, ...standing }) => [jobId, standing]));
}

const keyOf = (jobId: number, at: Date) => `${jobId} ${at.getTime()}`;

/** The first BJR sometimes ran an occurrence twice: here the second is its second attempt. */
async function numberAttempts(tx: Queryable, imported: ImportedRun[]): Promise<number[]> {
  const occurrences = imported.flatMap(({ jobId, run }) => (run.scheduledFor ? [{ jobId, at: run.scheduledFor }] : []));
  const taken = new Map<string, number>();
  if (occurrences.length > 0) {
    const pairs = sql.join(
      occurrences.map(({ jobId, at }) => sql`(${jobId}, ${at})`),
      sql`, `,
    );
    const rows = await tx
      .select({ jobId: jobRuns.jobId, at: jobRuns.scheduledFor, attempt: sql<number>`MAX(${jobRuns.attempt})` })
      .from(jobRuns)
      .where(sql`(${jobRuns.jobId}, ${jobRuns.scheduledFor}) IN (${pairs})`)
      .groupBy(jobRuns.jobId, jobRuns.scheduledFor);
    for (const { jobId, at, attempt } of rows) if (at) taken.set(keyOf(jobId, at), attempt);
  }
  return imported.map(({ jobId, run: { scheduledFor } }) => {
    if (!scheduledFor) return 1;
    const key = keyOf(jobId, scheduledFor);
    const attempt = (taken.get(key) ?? 0) + 1;
    taken.set(key, attempt);
    return attempt;
  });
}

/** What recording a run does to its job (recordOutcome.ts); nobody knows when a lost run ended. */
function moveOn(standing: Standing, run: LegacyRun, attempt: number): Standing {
  const { startedAt, finishedAt, scheduledFor, outcome } = run;
  const isLatest = standing.lastRun === null || startedAt >= standing.lastRun;
  const last = isLatest ? { lastRun: startedAt, success: outcome === 'succeeded' } : {};
  if (outcome === 'lost') return { ...standing, ...last };
  const hasLag = scheduledFor !== null && attempt === 1;
  return {
    ...standing,
    ...last,
    durations: addRun(standing.durations, finishedAt.getTime() - startedAt.getTime()),
    lags: hasLag ? addRun(standing.lags, startedAt.getTime() - scheduledFor.getTime()) : standing.lags,
  };
}

/** One statement: a batch of runs may be of as many jobs. */
async function writeStandings(tx: Queryable, standings: Map<number, Standing>): Promise<void> {
  const rows = [...standings].map(([id, standing]) => {
    const values = Object.entries({ id, ...columnsOf(standing) });
    return sql`SELECT ${sql.join(
      values.map(([name, value]) => sql`${value} AS ${sql.identifier(name)}`),
      sql`, `,
    )}`;
  });
  const names = Object.keys(columnsOf(NONE));
  const assignments = names.map((name) => sql`jobs.${sql.identifier(name)} = new.${sql.identifier(name)}`);
  await tx.execute(sql`
    UPDATE jobs JOIN (${sql.join(rows, sql` UNION ALL `)}) AS new ON new.id = jobs.id
    SET ${sql.join(assignments, sql`, `)}`);
}

const NO_SUMS: RunningSums = { count: 0, sumMs: 0, minMs: 0, maxMs: 0, weightedMs: 0 };
const NONE: Standing = { userId: 0, lastRun: null, success: null, durations: NO_SUMS, lags: NO_SUMS };

function columnsOf({ lastRun, success, durations, lags }: Standing) {
  return {
    last_run: lastRun,
    success,
    duration_count: durations.count,
    duration_sum_ms: durations.sumMs,
    duration_min_ms: durations.minMs,
    duration_max_ms: durations.maxMs,
    duration_weighted_ms: durations.weightedMs,
    lag_count: lags.count,
    lag_sum_ms: lags.sumMs,
    lag_min_ms: lags.minMs,
    lag_max_ms: lags.maxMs,
    lag_weighted_ms: lags.weightedMs,
  };
}
