import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What commands write of themselves, outside the database: a line at their start and one at their end. Each holds the lock
 * file of its job while any process of it lives; the kernel lets go when the last one is gone, however it went.
 */
export interface Started {
  jobId: number;
  runId: number;
  attempt: number;
  /** ISO 8601; '' for a run by hand. */
  scheduledAt: string;
  pid: number;
  atMs: number;
}

export interface Evidence {
  starts: Started[];
  /** Runs whose command came to its own end. */
  stopped: Set<number>;
  /** Commands that found another process of their job alive. */
  overlaps: { jobId: number; runId: number; atMs: number }[];
}

/** A job's command. `body` is what it does in between; the log's folder has no blanks. */
export function withEvidence(folder: string, body: string): string {
  return [
    'now() { date +%s%3N; }',
    `exec 9>>${folder}/lock.$BJR_JOB_ID`,
    `flock -n 9 || echo "overlap $BJR_JOB_ID $BJR_RUN_ID $(now)" >> ${folder}/log`,
    `echo "start $BJR_JOB_ID $BJR_RUN_ID $BJR_ATTEMPT \${BJR_SCHEDULED_AT:--} $$ $(now)" >> ${folder}/log`,
    body,
    `echo "stop $BJR_JOB_ID $BJR_RUN_ID" >> ${folder}/log`,
  ].join('\n');
}

export function readEvidence(folder: string): Evidence {
  const evidence: Evidence = { starts: [], stopped: new Set(), overlaps: [] };
  for (const line of readFileSync(join(folder, 'log'), 'utf8').split('\n')) {
    const [word, ...fields] = line.split(' ');
    const [jobId, runId] = [Number(fields[0]), Number(fields[1])];
    if (word === 'start') {
      const scheduledAt = fields[3] === '-' ? '' : (fields[3] ?? '');
      const [attempt, pid, atMs] = [Number(fields[2]), Number(fields[4]), Number(fields[5])];
      evidence.starts.push({ jobId, runId, attempt, scheduledAt, pid, atMs });
    }
    if (word === 'stop') evidence.stopped.add(runId);
    if (word === 'overlap') evidence.overlaps.push({ jobId, runId, atMs: Number(fields[2]) });
  }
  return evidence;
}

/** Runs of which a process lives now, by the mark that commands and their children carry in their environment. */
export function findLivingRuns(folder: string): Set<number> {
  const living = new Set<number>();
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (!environment.includes(`CHAOS=${folder}`)) continue;
      const run = environment.find((variable) => variable.startsWith('BJR_RUN_ID='));
      if (run) living.add(Number(run.slice('BJR_RUN_ID='.length)));
    } catch {
      // It has ended, or is a zombie, which has no environment any more.
    }
  }
  return living;
}
