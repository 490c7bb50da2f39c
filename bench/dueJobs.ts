import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { Config } from '../src/platform/config.ts';
import { awaitRedis, connectRedis } from '../src/redis/connection.ts';
import { createWakeUps } from '../src/redis/wakeUps.ts';
import type { TestEnvironment } from '../test/support/environment.ts';

const ADMIN = 2;

/** Idle jobs of one user, whose schedule has no occurrence for months; their ids are consecutive. */
export async function addIdleJobs({ query }: TestEnvironment, count: number, command: string): Promise<void> {
  const rows = Array.from({ length: count }, (_, n) => [
    ADMIN,
    `bench ${n}`,
    `bench ${n}`,
    command,
    '0 0 1 1 *',
    'UTC',
  ]);
  await query('INSERT INTO jobs (user_id, name, name_key, command, cron, timezone) VALUES ?', [rows]);
}

/** From their start to the last outcome's record. */
export interface Drained {
  /** Seconds from the moment when all became due. */
  seconds: number;
}

const AHEAD_MS = 1500;

/** Makes all jobs with the command due at one instant, one occurrence of each, and waits until every run is recorded. */
export async function drainDue({ query, config }: TestEnvironment, command: string): Promise<Drained> {
  await query(
    `UPDATE jobs CROSS JOIN (SELECT UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND AS at) AS due
     SET state = 'due', due_at = at, next_run = at WHERE command = ?`,
    [AHEAD_MS * 1000, command],
  );
  await wake(config);
  const [first] = await query<{ dueAt: Date; jobs: number }>(
    "SELECT MIN(due_at) AS dueAt, COUNT(*) AS jobs FROM jobs WHERE state = 'due'",
  );
  await delay(AHEAD_MS);
  while ((await query("SELECT id FROM jobs WHERE state <> 'idle' LIMIT 1")).length > 0) await delay(50);
  const [runs] = await query<{ seconds: number; succeeded: number }>(
    `SELECT TIMESTAMPDIFF(MICROSECOND, ?, MAX(updated_at)) / 1e6 AS seconds, SUM(outcome = 'succeeded') AS succeeded
     FROM job_runs WHERE scheduled_for = ?`,
    [first?.dueAt, first?.dueAt],
  );
  if (Number(runs?.succeeded) !== first?.jobs) throw new Error(`${first?.jobs} jobs were due: ${JSON.stringify(runs)}`);
  return { seconds: Number(runs?.seconds) };
}

/** As the leader does when it has marked jobs: without it a worker would find them when it looks the next time, seconds later. */
async function wake(config: Config): Promise<void> {
  const redis = connectRedis(config.redis, pino({ level: 'silent' }));
  await awaitRedis(redis, 2000);
  await createWakeUps(redis, config.redis.prefix).send('jobs');
  redis.disconnect();
}
