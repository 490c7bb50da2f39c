import { and, gt, inArray, lte, type SQL, sql } from 'drizzle-orm';
import { type Period, periodEnd, periodStart } from '../domain/statistics.ts';
import type { Database } from './database.ts';
import { jobRuns } from './schema.ts';

/** A minute in which runs of a user started. */
export interface Recorded {
  userId: number;
  minute: Date;
}

/** The starts of what was recorded in a span of time, by minutes; read from the index alone. */
export async function findRecorded(db: Database, { from, until }: { from: Date; until: Date }): Promise<Recorded[]> {
  const minute = sql<number>`TIMESTAMPDIFF(MINUTE, '1970-01-01', ${jobRuns.startedAt})`;
  const rows = await db
    .selectDistinct({ userId: jobRuns.userId, minute })
    .from(jobRuns, { forceIndex: 'job_runs_changed' })
    .where(and(gt(jobRuns.updatedAt, from), lte(jobRuns.updatedAt, until)));
  return rows.map((row) => ({ userId: row.userId, minute: new Date(row.minute * 60_000) }));
}

/** One period's rows of some users. */
export interface Rows {
  period: Period;
  start: Date;
  userIds: number[];
}

const TOTALS = sql`
  COALESCE((SELECT users.job_count FROM users WHERE users.id = sums.user_id), 0) AS total_jobs,
  (SELECT COUNT(*) FROM jobs WHERE jobs.user_id = sums.user_id AND jobs.enabled = TRUE) AS enabled_jobs`;
/** A period's totals are those of its end: they move on while it lasts, and no longer. */
const UPDATE_TOTALS = sql.join(
  ['total_jobs', 'enabled_jobs'].map((column) => {
    const name = sql.identifier(column);
    return sql`${name} = IF(job_stats.end_at > UTC_TIMESTAMP(6), new.${name}, job_stats.${name})`;
  }),
  sql`, `,
);

/**
 * A period never shrinks: runs that have been removed since were counted. `runs`, which says so, is written last, because the
 * assignments of an update are made in their order.
 */
const UPDATE = sql.join(
  [
    'failed',
    'job_count',
    'duration_count',
    'duration_sum_ms',
    'duration_min_ms',
    'duration_max_ms',
    'lag_count',
    'lag_sum_ms',
    'lag_min_ms',
    'lag_max_ms',
    'runs',
  ].map((column) => {
    const name = sql.identifier(column);
    return sql`${name} = IF(new.runs >= job_stats.runs, new.${name}, job_stats.${name})`;
  }),
  sql`, `,
);

async function write(db: Database, { period, start }: Omit<Rows, 'userIds'>, select: SQL): Promise<void> {
  await db.execute(sql`
    INSERT INTO job_stats
      (user_id, period, start_at, end_at, runs, failed, job_count, duration_count, duration_sum_ms, duration_min_ms,
       duration_max_ms, lag_count, lag_sum_ms, lag_min_ms, lag_max_ms, total_jobs, enabled_jobs)
    SELECT new.user_id, ${period}, ${start}, ${periodEnd(period, start)}, new.runs, new.failed, new.job_count,
      new.duration_count, new.duration_sum_ms, new.duration_min_ms, new.duration_max_ms,
      new.lag_count, new.lag_sum_ms, new.lag_min_ms, new.lag_max_ms, new.total_jobs, new.enabled_jobs
    FROM (SELECT sums.*, ${TOTALS} FROM (${select}) AS sums) AS new
    ON DUPLICATE KEY UPDATE ${UPDATE_TOTALS}, ${UPDATE}, updated_at = UTC_TIMESTAMP(6)`);
}

const milliseconds = (from: SQL, until: SQL) =>
  sql`GREATEST(0, TIMESTAMPDIFF(MICROSECOND, ${from}, ${until}) DIV 1000)`;
/** Nobody knows when a lost run ended. */
const DURATION = sql`CASE WHEN outcome <> 'lost' THEN ${milliseconds(sql`started_at`, sql`finished_at`)} END`;
/** The distance of a retry from its occurrence is no lag, and neither is that of a run that was lost. */
const LAG = sql`CASE WHEN outcome <> 'lost' AND attempt = 1 THEN ${milliseconds(sql`scheduled_for`, sql`started_at`)} END`;
const summary = (value: SQL) =>
  ['COUNT', 'SUM', 'MIN', 'MAX'].map((name) => sql`CAST(COALESCE(${sql.raw(name)}(${value}), 0) AS SIGNED)`);
const [DURATION_COUNT, DURATION_SUM, DURATION_MIN, DURATION_MAX] = summary(DURATION);
const [LAG_COUNT, LAG_SUM, LAG_MIN, LAG_MAX] = summary(LAG);

/** Minutes and hours: from the finished runs that started in them. */
export async function writeFromRuns(db: Database, rows: Rows): Promise<void> {
  const { period, start, userIds } = rows;
  await write(
    db,
    rows,
    sql`
      SELECT user_id, COUNT(*) AS runs, CAST(SUM(outcome <> 'succeeded') AS SIGNED) AS failed,
        COUNT(DISTINCT job_id) AS job_count,
        ${DURATION_COUNT} AS duration_count, ${DURATION_SUM} AS duration_sum_ms,
        ${DURATION_MIN} AS duration_min_ms, ${DURATION_MAX} AS duration_max_ms,
        ${LAG_COUNT} AS lag_count, ${LAG_SUM} AS lag_sum_ms, ${LAG_MIN} AS lag_min_ms, ${LAG_MAX} AS lag_max_ms
      FROM job_runs FORCE INDEX (job_runs_started)
      WHERE ${inArray(sql`user_id`, userIds)} AND started_at >= ${start} AND started_at < ${periodEnd(period, start)}
        AND outcome IS NOT NULL
      GROUP BY user_id`,
  );
}

/** Notes which jobs ran in the day and week of a minute, or of a whole day: how many they were does not follow from the hours. */
export async function noteJobs(db: Database, { period: part, start, userIds }: Rows): Promise<void> {
  for (const period of ['day', 'week'] as const) {
    await db.execute(sql`
      INSERT IGNORE INTO job_stat_jobs (period, start_at, user_id, job_id)
      SELECT DISTINCT ${period}, ${periodStart(period, start)}, user_id, job_id
      FROM job_runs FORCE INDEX (job_runs_started)
      WHERE ${inArray(sql`user_id`, userIds)} AND started_at >= ${start} AND started_at < ${periodEnd(part, start)}
        AND outcome IS NOT NULL`);
  }
}

const least = (name: string) =>
  sql`COALESCE(MIN(CASE WHEN ${sql.identifier(`${name}_count`)} > 0 THEN ${sql.identifier(`${name}_min_ms`)} END), 0)`;
const sum = (name: string) => sql`CAST(SUM(${sql.identifier(name)}) AS SIGNED)`;

/** Days from their hours, weeks from their days. */
export async function writeFromParts(db: Database, rows: Rows): Promise<void> {
  const { period, start, userIds } = rows;
  await write(
    db,
    rows,
    sql`
      SELECT user_id, ${sum('runs')} AS runs, ${sum('failed')} AS failed,
        (SELECT COUNT(*) FROM job_stat_jobs
         WHERE job_stat_jobs.period = ${period} AND job_stat_jobs.start_at = ${start}
           AND job_stat_jobs.user_id = parts.user_id) AS job_count,
        ${sum('duration_count')} AS duration_count, ${sum('duration_sum_ms')} AS duration_sum_ms,
        ${least('duration')} AS duration_min_ms, MAX(duration_max_ms) AS duration_max_ms,
        ${sum('lag_count')} AS lag_count, ${sum('lag_sum_ms')} AS lag_sum_ms,
        ${least('lag')} AS lag_min_ms, MAX(lag_max_ms) AS lag_max_ms
      FROM job_stats AS parts
      WHERE ${inArray(sql`user_id`, userIds)} AND period = ${period === 'day' ? 'hour' : 'day'}
        AND start_at >= ${start} AND start_at < ${periodEnd(period, start)}
      GROUP BY user_id`,
  );
}

/** Rows of zeros for the users who have jobs, where there is none yet. */
export async function addSilentPeriods(db: Database, period: Period, start: Date): Promise<void> {
  await db.execute(sql`
    INSERT IGNORE INTO job_stats (user_id, period, start_at, end_at, total_jobs, enabled_jobs)
    SELECT id, ${period}, ${start}, ${periodEnd(period, start)}, job_count,
      (SELECT COUNT(*) FROM jobs WHERE jobs.user_id = users.id AND jobs.enabled = TRUE)
    FROM users WHERE job_count > 0`);
}
