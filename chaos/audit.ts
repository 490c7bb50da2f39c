import { scheduleOf } from '../src/domain/schedule.ts';
import type { Cluster } from './cluster.ts';
import { readEvidence } from './evidence.ts';

/** Something that must not be; `atMs` says under which fault it came about. */
export interface Violation {
  invariant: string;
  detail: string;
  atMs: number;
}

export interface Audit {
  violations: Violation[];
  counts: { occurrences: number; runs: number; lost: number; misfires: Record<string, number>; commands: number };
}

interface JobRow {
  id: number;
  cron: string;
  timezone: string;
  starts_at: Date | null;
  ends_at: Date | null;
  next_run: Date;
  state: string;
  created_at: Date;
}

interface RunRow {
  id: number;
  job_id: number;
  scheduled_for: Date | null;
  attempt: number;
  outcome: string | null;
  /** When it was claimed. */
  created_at: Date;
  started_at: Date;
  /** When its outcome was recorded. */
  updated_at: Date;
}

interface MisfireRow {
  job_id: number;
  first_at: Date;
  last_at: Date;
  occurrence_count: number;
  reason: string;
}

/**
 * Compares what commands wrote with what the database says, for the jobs given: whose definitions have not changed, and
 * which nobody works on any more. Occurrences before a job's next one are settled; those from there on are to come.
 */
export async function audit(cluster: Cluster, folder: string, jobIds: number[], since: Date): Promise<Audit> {
  const evidence = readEvidence(folder);
  const list = jobIds.join(',');
  const jobs = await cluster.query<JobRow>(`SELECT * FROM jobs WHERE id IN (${list})`);
  const runs = await cluster.query<RunRow>(`SELECT * FROM job_runs WHERE job_id IN (${list}) ORDER BY id`);
  const misfires = await cluster.query<MisfireRow>(`SELECT * FROM misfires WHERE job_id IN (${list})`);
  const violations: Violation[] = [];
  const violate = (invariant: string, detail: string, at: Date | number) =>
    violations.push({ invariant, detail, atMs: Number(at) });

  let occurrences = 0;
  for (const job of jobs) {
    const ofJob = {
      runs: runs.filter((run) => run.job_id === job.id),
      misfires: misfires.filter((m) => m.job_id === job.id),
    };
    occurrences += auditOccurrences(job, ofJob, since, violate);
    auditReasons(job, ofJob, violate);
    auditMisfireCounts(job, ofJob, violate);
    if (job.state === 'leased')
      violate('nothing is stuck', `job ${job.id} is leased, and nobody works on it`, Date.now());
  }
  for (const run of runs) {
    // It is claimed a little before.
    if (run.scheduled_for && run.started_at < run.scheduled_for) {
      violate('nothing is early', `run ${run.id} for ${run.scheduled_for.toISOString()}`, run.started_at);
    }
    if (run.outcome === null) violate('one terminal state', `run ${run.id} has none`, run.started_at);
  }

  const changed = await cluster.query<{ run_id: number; before_it: string; after_it: string; at: Date }>(
    'SELECT * FROM chaos_changed_outcomes',
  );
  for (const { run_id, before_it, after_it, at } of changed) {
    violate('one terminal state', `run ${run_id} was ${before_it} and became ${after_it}`, at);
  }

  for (const { jobId, runId, atMs } of evidence.overlaps) {
    violate('a job never overlaps itself', `run ${runId} found another process of job ${jobId}`, atMs);
  }
  const runById = new Map(runs.map((run) => [run.id, run]));
  const startsOf = new Map<string, number>();
  for (const start of evidence.starts) {
    if (!jobIds.includes(start.jobId)) continue;
    const run = runById.get(start.runId);
    if (start.scheduledAt !== '' && start.atMs < Date.parse(start.scheduledAt)) {
      violate('nothing is early', `run ${start.runId} for ${start.scheduledAt} began before`, start.atMs);
    }
    if (!run) violate('a command has its run', `run ${start.runId} was started and is not recorded`, start.atMs);
    const key =
      start.scheduledAt === '' ? `run ${start.runId}` : `${start.jobId} ${start.scheduledAt} ${start.attempt}`;
    const count = (startsOf.get(key) ?? 0) + 1;
    startsOf.set(key, count);
    if (count > 1) violate('one run per occurrence', `started ${count} times: job ${key}`, start.atMs);
  }
  for (const run of runs) {
    const hasStopped = evidence.stopped.has(run.id);
    if (run.outcome === 'succeeded' && !hasStopped) {
      violate(
        'an outcome is true',
        `run ${run.id} is recorded as succeeded and did not come to its end`,
        run.started_at,
      );
    }
  }

  const reasons = Object.groupBy(misfires, ({ reason }) => reason);
  return {
    violations,
    counts: {
      occurrences,
      runs: runs.length,
      lost: runs.filter(({ outcome }) => outcome === 'lost').length,
      misfires: Object.fromEntries(
        Object.entries(reasons).map(([reason, rows]) => [
          reason,
          (rows ?? []).reduce((sum, row) => sum + row.occurrence_count, 0),
        ]),
      ),
      commands: evidence.starts.length,
    },
  };
}

type OfJob = { runs: RunRow[]; misfires: MisfireRow[] };
type Violate = (invariant: string, detail: string, at: Date | number) => void;

/** Each occurrence that has passed is in exactly one run (its tries are one) or in exactly one misfire. */
function auditOccurrences(job: JobRow, { runs, misfires }: OfJob, since: Date, violate: Violate): number {
  const schedule = scheduleOf({ ...job, startsAt: job.starts_at, endsAt: job.ends_at });
  const ran = new Set(runs.map((run) => run.scheduled_for?.getTime()));
  let count = 0;
  for (let at = schedule.next(since); at && at < job.next_run; at = schedule.next(at)) {
    count += 1;
    const instant = at;
    const inMisfires = misfires.filter((misfire) => misfire.first_at <= instant && instant <= misfire.last_at).length;
    const times = (ran.has(instant.getTime()) ? 1 : 0) + inMisfires;
    const name = `${instant.toISOString()} of job ${job.id}`;
    if (times === 0) violate('nothing is skipped in silence', `${name} has neither a run nor a misfire`, instant);
    if (times > 1) violate('one run or one misfire', `${name} has ${times}`, instant);
  }
  return count;
}

/** A misfire counts the occurrences that it covers, no more and no fewer. */
function auditMisfireCounts(job: JobRow, { misfires }: OfJob, violate: Violate): void {
  const schedule = scheduleOf({ ...job, startsAt: job.starts_at, endsAt: job.ends_at });
  for (const { first_at, last_at, occurrence_count } of misfires) {
    let count = 0;
    const before = new Date(first_at.getTime() - 1);
    for (let at = schedule.next(before); at && at <= last_at; at = schedule.next(at)) count += 1;
    if (count === occurrence_count) continue;
    violate('a misfire counts right', `${occurrence_count} of job ${job.id}, where ${count} lie between`, first_at);
  }
}

/**
 * An occurrence that was missed because of a run lies between that run's own and the end of its lease, which an outage may
 * put long after the end of its command.
 */
function auditReasons(job: JobRow, { runs, misfires }: OfJob, violate: Violate): void {
  for (const { reason, first_at, last_at } of misfires) {
    if (reason === 'down') continue;
    const isCause = (run: RunRow) =>
      (run.scheduled_for ?? run.created_at) <= last_at &&
      run.updated_at >= first_at &&
      (reason !== 'lost' || run.outcome === 'lost');
    if (!runs.some(isCause)) {
      const name = `'${reason}' of job ${job.id} at ${first_at.toISOString()}`;
      violate('a misfire has its reason', `${name}: no such run`, first_at);
    }
  }
}
