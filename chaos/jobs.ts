import type { Cluster } from './cluster.ts';
import { withEvidence } from './evidence.ts';

export interface NewJob {
  name: string;
  cron: string;
  command: string;
  policy?: string;
  maxRetries?: number;
  nextRun: Date;
}

/** Jobs straight into the database: the audit knows their occurrences from `nextRun` on. */
export async function addJobs(cluster: Cluster, folder: string, jobs: NewJob[]): Promise<number[]> {
  const ids: number[] = [];
  for (const { name, cron, command, policy = 'fire_once', maxRetries = 0, nextRun } of jobs) {
    const env = JSON.stringify({ CHAOS: folder });
    await cluster.query(
      `INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, misfire_policy, catch_up_max, max_retries,
         retry_delay_seconds, env, next_run, state)
       VALUES (1, ?, ?, ?, ?, 'UTC', ?, 10, ?, 1, ?, ?, 'idle')`,
      [name, name, command, cron, policy, maxRetries, env, nextRun],
    );
    const [inserted] = await cluster.query<{ id: number }>('SELECT id FROM jobs WHERE name = ?', [name]);
    if (inserted) ids.push(inserted.id);
  }
  return ids;
}

/** Quick and slow, patient and stubborn, with each policy, some longer than the time to their next occurrence. */
const BODIES = [
  ':',
  'sleep 1',
  'sleep 4',
  'sleep 9',
  "trap '' TERM; sleep 3 & wait; sleep 2",
  '(sleep 2; echo late) & sleep 1; wait',
  'head -c 3000000 /dev/zero | tr "\\0" x',
  'sleep 0.5; exit 3',
];
const PERIODS = [3, 5, 7, 10];
const POLICIES = ['skip', 'fire_once', 'catch_up'];

export function addSoakJobs(cluster: Cluster, folder: string, since: Date): Promise<number[]> {
  const jobs = BODIES.flatMap((body, b) =>
    POLICIES.map((policy, p) => ({
      name: `soak ${b} ${policy}`,
      cron: `*/${PERIODS[(b + p) % PERIODS.length]} * * * * *`,
      command: withEvidence(folder, body),
      policy,
      maxRetries: b % 2,
      nextRun: nextSecond(since, PERIODS[(b + p) % PERIODS.length] ?? 1),
    })),
  );
  return addJobs(cluster, folder, jobs);
}

/** The first occurrence of every so many seconds of a minute. */
function nextSecond(after: Date, period: number): Date {
  const at = new Date(Math.floor(after.getTime() / 1000) * 1000 + 1000);
  while (at.getUTCSeconds() % period !== 0) at.setTime(at.getTime() + 1000);
  return at;
}
