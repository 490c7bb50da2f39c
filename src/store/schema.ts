import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  customType,
  datetime,
  double,
  index,
  int,
  longtext,
  mediumtext,
  mysqlEnum,
  mysqlTable,
  primaryKey,
  smallint,
  text,
  uniqueIndex,
  varchar,
} from 'drizzle-orm/mysql-core';
import { MISFIRE_POLICIES, MISFIRE_REASONS } from '../domain/misfire.ts';
import { OUTCOMES } from '../domain/outcome.ts';
import { JOB_STATES, TRIGGERS } from '../domain/plan.ts';

/*
 * Every instant is UTC. Every index says which one query it serves; the migrations repeat it as the index's comment.
 * There are no foreign keys: their shared locks on parent rows deadlock with claims (S→X upgrade).
 */

const ref = (name: string) => bigint(name, { mode: 'number', unsigned: true });
const instant = (name: string) => datetime(name, { mode: 'date', fsp: 6 });
const count = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0);
const now = sql`(UTC_TIMESTAMP(6))`;
const id = () => ref('id').autoincrement().primaryKey();
const timestamps = () => ({
  createdAt: instant('created_at').notNull().default(now),
  updatedAt: instant('updated_at').notNull().default(now),
});
/** A name folded by the application (`foldName`): the databases' own collations differ in what they call equal. */
const foldedName = customType<{ data: string }>({
  dataType: () => 'varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
});
const nameKey = () => foldedName('name_key').notNull();

export const users = mysqlTable(
  'users',
  {
    id: id(),
    username: varchar('username', { length: 255 }).notNull(),
    usernameKey: foldedName('username_key').notNull(),
    passwordDigest: varchar('password_digest', { length: 72 }).notNull(),
    /** Part of every token: a password change raises it, which revokes the tokens given out before. */
    tokenVersion: int('token_version').notNull().default(0),
    isRoot: boolean('is_root').notNull().default(false),
    ...timestamps(),
  },
  (t) => [
    // Sign-in: one user by name.
    uniqueIndex('users_username').on(t.usernameKey),
  ],
);

export const folders = mysqlTable(
  'folders',
  {
    id: id(),
    userId: ref('user_id').notNull(),
    name: varchar('name', { length: 255 }).notNull(),
    nameKey: nameKey(),
    expression: varchar('expression', { length: 1000 }).notNull(),
    ...timestamps(),
  },
  (t) => [
    // A user's folders; names are unique per user.
    uniqueIndex('folders_user_name').on(t.userId, t.nameKey),
  ],
);

export const tags = mysqlTable(
  'tags',
  {
    id: id(),
    userId: ref('user_id').notNull(),
    name: varchar('name', { length: 255 }).notNull(),
    nameKey: nameKey(),
  },
  (t) => [
    // A user's tags by name.
    uniqueIndex('tags_user_name').on(t.userId, t.nameKey),
  ],
);

export const jobTags = mysqlTable(
  'job_tags',
  { jobId: ref('job_id').notNull(), tagId: ref('tag_id').notNull() },
  (t) => [
    primaryKey({ columns: [t.jobId, t.tagId] }),
    // The jobs of a tag.
    index('job_tags_tag').on(t.tagId, t.jobId),
  ],
);

export const jobs = mysqlTable(
  'jobs',
  {
    id: id(),
    userId: ref('user_id').notNull(),
    // The definition.
    name: varchar('name', { length: 255 }).notNull(),
    nameKey: nameKey(),
    command: mediumtext('command').notNull(),
    cron: varchar('cron', { length: 255 }).notNull(),
    timezone: varchar('timezone', { length: 64 }).notNull(),
    enabled: boolean('enabled').notNull().default(true),
    successCallback: varchar('success_callback', { length: 2048 }).notNull().default(''),
    failureCallback: varchar('failure_callback', { length: 2048 }).notNull().default(''),
    misfirePolicy: mysqlEnum('misfire_policy', MISFIRE_POLICIES).notNull().default('fire_once'),
    catchUpMax: smallint('catch_up_max', { unsigned: true }).notNull().default(50),
    // Where it stands (src/domain/plan.ts).
    state: mysqlEnum('state', JOB_STATES).notNull().default('idle'),
    /** The next occurrence that no run has taken yet, also while a run is under way; null when none is left. */
    nextRun: instant('next_run'),
    dueAt: instant('due_at'),
    trigger: mysqlEnum('trigger_kind', TRIGGERS).notNull().default('schedule'),
    attempt: smallint('attempt', { unsigned: true }).notNull().default(1),
    leaseOwner: varchar('lease_owner', { length: 36 }),
    /** The fencing token: raised by every claim, matched by every later write. */
    leaseToken: count('lease_token'),
    leaseExpiresAt: instant('lease_expires_at'),
    runId: ref('run_id'),
    // What its runs amount to, kept in O(1) a run (src/domain/statistics.ts).
    lastRun: instant('last_run'),
    success: boolean('success'),
    durationCount: count('duration_count'),
    durationSumMs: count('duration_sum_ms'),
    durationMinMs: count('duration_min_ms'),
    durationMaxMs: count('duration_max_ms'),
    durationWeightedMs: double('duration_weighted_ms').notNull().default(0),
    lagCount: count('lag_count'),
    lagSumMs: count('lag_sum_ms'),
    lagMinMs: count('lag_min_ms'),
    lagMaxMs: count('lag_max_ms'),
    lagWeightedMs: double('lag_weighted_ms').notNull().default(0),
    ...timestamps(),
  },
  (t) => [
    // Names are unique per user; one job by its name.
    uniqueIndex('jobs_user_name').on(t.userId, t.nameKey),
    // The claim (claimRuns.ts): due rows in the order of due_at, id. The reaper reads the leased ones by its first column.
    index('jobs_claim').on(t.state, t.dueAt, t.id),
    // The leader's mark (markDue.ts): idle, enabled rows whose occurrence is near.
    index('jobs_mark').on(t.state, t.enabled, t.nextRun),
    // A user's jobs in the order of lists: next_run, id.
    index('jobs_list').on(t.userId, t.nextRun, t.id),
  ],
);

export const jobRuns = mysqlTable(
  'job_runs',
  {
    id: id(),
    jobId: ref('job_id').notNull(),
    userId: ref('user_id').notNull(),
    trigger: mysqlEnum('trigger_kind', TRIGGERS).notNull(),
    /** The occurrence; null for a manual run. */
    scheduledFor: instant('scheduled_for'),
    attempt: smallint('attempt', { unsigned: true }).notNull(),
    leaseToken: ref('lease_token').notNull(),
    workerId: varchar('worker_id', { length: 36 }).notNull(),
    /** The claim's instant until the run is recorded, then that of the process's start. */
    startedAt: instant('started_at').notNull(),
    finishedAt: instant('finished_at'),
    /** Null while the run is under way; set once. */
    outcome: mysqlEnum('outcome', OUTCOMES),
    returnCode: int('return_code'),
    errorMessage: text('error_message'),
    ...timestamps(),
  },
  (t) => [
    // One run per occurrence and attempt, whoever marks and whoever claims.
    uniqueIndex('job_runs_occurrence').on(t.jobId, t.scheduledFor, t.attempt),
    // A job's runs, newest first.
    index('job_runs_list').on(t.jobId, t.id),
  ],
);

/** Beside the runs, so that lists and counts never touch it. */
export const runOutputs = mysqlTable('run_outputs', {
  runId: ref('run_id').primaryKey(),
  stdout: longtext('stdout').notNull(),
  stderr: longtext('stderr').notNull(),
  stdoutBytes: count('stdout_bytes'),
  stderrBytes: count('stderr_bytes'),
  stdoutTruncated: boolean('stdout_truncated').notNull().default(false),
  stderrTruncated: boolean('stderr_truncated').notNull().default(false),
});

export const misfires = mysqlTable(
  'misfires',
  {
    id: id(),
    jobId: ref('job_id').notNull(),
    userId: ref('user_id').notNull(),
    /** First and last occurrence that did not run, both included. */
    firstAt: instant('first_at').notNull(),
    lastAt: instant('last_at').notNull(),
    count: int('occurrence_count').notNull(),
    reason: mysqlEnum('reason', MISFIRE_REASONS).notNull(),
    policy: mysqlEnum('policy', MISFIRE_POLICIES).notNull(),
    createdAt: instant('created_at').notNull().default(now),
  },
  (t) => [
    // A job's misfires, newest first.
    index('misfires_job').on(t.jobId, t.id),
  ],
);

/** Jobs that were deleted and whose history the leader still has to remove, in small batches. */
export const purges = mysqlTable('purges', {
  jobId: ref('job_id').primaryKey(),
  createdAt: instant('created_at').notNull().default(now),
});
