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
import { AUDIT_KINDS, AUDIT_OPERATIONS, type Fields } from '../domain/audit.ts';
import { CALLBACK_POLICIES, DELIVERY_STATES } from '../domain/delivery.ts';
import { LEGACY_KINDS } from '../domain/legacy.ts';
import { MISFIRE_POLICIES, MISFIRE_REASONS } from '../domain/misfire.ts';
import { OUTCOMES } from '../domain/outcome.ts';
import { JOB_STATES, TRIGGERS } from '../domain/plan.ts';
import { RETRY_DELAY_SECONDS } from '../domain/retry.ts';
import { PERIODS } from '../domain/statistics.ts';

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
/** A JSON object of strings, as text: MariaDB has no JSON type of its own. */
const variables = customType<{ data: Record<string, string>; driverData: string }>({
  dataType: () => 'text',
  toDriver: (value) => JSON.stringify(value),
  fromDriver: (json) => JSON.parse(json),
});
/** A thing's fields as a JSON object, as text for the same reason. */
const fields = customType<{ data: Fields; driverData: string }>({
  dataType: () => 'mediumtext',
  toDriver: (value) => JSON.stringify(value),
  fromDriver: (json) => JSON.parse(json),
});
/** Text of which every byte counts. */
const binaryText = customType<{ data: string }>({
  dataType: () => 'varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
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
    /** Signs the callbacks of the user's jobs; '' until it is first needed. */
    callbackSecret: varchar('callback_secret', { length: 64 }).notNull().default(''),
    /** Kept with every job that comes and goes: counting a long list costs more than reading its page. */
    jobCount: count('job_count'),
    /** Raised by every change of a job's definition: what was counted by definitions still holds while it stays. */
    jobsRevision: count('jobs_revision'),
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
    callbackPolicy: mysqlEnum('callback_policy', CALLBACK_POLICIES).notNull().default('every'),
    description: text('description').notNull().default(''),
    /** Seconds; 0: none. */
    timeoutSeconds: int('timeout_seconds', { unsigned: true }).notNull().default(0),
    maxRetries: smallint('max_retries', { unsigned: true }).notNull().default(0),
    retryDelaySeconds: int('retry_delay_seconds', { unsigned: true }).notNull().default(RETRY_DELAY_SECONDS),
    /** Variables for the command's environment. */
    env: variables('env').notNull().default(sql`('{}')`),
    /** '': the worker's own (JOB_DIRECTORY). */
    workingDirectory: varchar('working_directory', { length: 1024 }).notNull().default(''),
    /** First and last instant at which it may occur, both included. */
    startsAt: instant('starts_at'),
    endsAt: instant('ends_at'),
    /** How many finished runs, and how many days of them, are kept; 0: all. */
    keepRuns: int('keep_runs', { unsigned: true }).notNull().default(0),
    keepDays: int('keep_days', { unsigned: true }).notNull().default(0),
    /** Raised by every change of the definition: what an editor's If-Match is compared with. */
    revision: int('revision', { unsigned: true }).notNull().default(0),
    // Where it stands (src/domain/plan.ts).
    state: mysqlEnum('state', JOB_STATES).notNull().default('idle'),
    /** The next occurrence that no run has taken yet, also while a run is under way; null when none is left. */
    nextRun: instant('next_run'),
    dueAt: instant('due_at'),
    trigger: mysqlEnum('trigger_kind', TRIGGERS).notNull().default('schedule'),
    /** The occurrence whose run is to be tried again; null where the trigger is another, or that run was manual. */
    scheduledFor: instant('scheduled_for'),
    attempt: smallint('attempt', { unsigned: true }).notNull().default(1),
    leaseOwner: varchar('lease_owner', { length: 36 }),
    /** The fencing token: raised by every claim, matched by every later write. */
    leaseToken: count('lease_token'),
    leaseExpiresAt: instant('lease_expires_at'),
    runId: ref('run_id'),
    // What its runs amount to, kept in O(1) a run (src/domain/statistics.ts).
    lastRun: instant('last_run'),
    success: boolean('success'),
    /** The end that callbacks were last asked to tell of, retries left out; null before the first. */
    toldSuccess: boolean('told_success'),
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
    // Searches by zone and by occurrences (scheduledBetween.ts): the different schedules of a user's jobs.
    index('jobs_schedules').on(t.userId, t.timezone, t.cron),
    // Counts of searches by what hardly ever changes; no claim touches it.
    index('jobs_flags').on(t.userId, t.enabled, t.success),
    // Searches by occurrences (scheduledBetween.ts): the jobs with bounds of their own.
    index('jobs_bounded').on(t.userId, t.startsAt, t.endsAt),
    // Retention (pruneRuns.ts): the jobs that keep only some of their runs.
    index('jobs_retention').on(t.keepRuns, t.keepDays),
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
    /** Its user wants it ended: the worker that holds it looks here with every renewal, should no message reach it. */
    cancelRequestedAt: instant('cancel_requested_at'),
    ...timestamps(),
  },
  (t) => [
    // One run per occurrence and attempt, whoever marks and whoever claims.
    uniqueIndex('job_runs_occurrence').on(t.jobId, t.scheduledFor, t.attempt),
    // A job's runs, newest first.
    index('job_runs_list').on(t.jobId, t.id),
    // Statistics (rollUp.ts): a user's runs by their start.
    index('job_runs_started').on(t.userId, t.startedAt),
    // Statistics (rollUp.ts): what was recorded since the last roll-up, whenever it ended.
    index('job_runs_changed').on(t.updatedAt, t.userId, t.startedAt),
  ],
);

/**
 * What stretches of a job's ended runs amount to, so that a page of a long history need not count it (runBlocks.ts): such runs
 * change no more. Kept by the leader (sealRuns.ts); what no block covers is counted. Without an index: read by job.
 */
export const runBlocks = mysqlTable(
  'run_blocks',
  {
    jobId: ref('job_id').notNull(),
    /** First and last run; all of the job's runs between them are in the block. */
    firstId: ref('first_id').notNull(),
    lastId: ref('last_id').notNull(),
    runs: int('run_count').notNull(),
    succeeded: int('succeeded_count').notNull(),
    /** The earliest and the latest of each. */
    startedFrom: instant('started_from').notNull(),
    startedUntil: instant('started_until').notNull(),
    finishedFrom: instant('finished_from').notNull(),
    finishedUntil: instant('finished_until').notNull(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.firstId] })],
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

/** The outbox of callbacks: written with the run's end, worked off by any worker. */
export const deliveries = mysqlTable(
  'deliveries',
  {
    id: id(),
    jobId: ref('job_id').notNull(),
    userId: ref('user_id').notNull(),
    runId: ref('run_id').notNull(),
    url: varchar('url', { length: 2048 }).notNull(),
    state: mysqlEnum('state', DELIVERY_STATES).notNull().default('pending'),
    /** Tries begun; a try's end is noted only while it is the last. */
    attempts: int('attempts', { unsigned: true }).notNull().default(0),
    /** Since when it is tried: it is given up after a day. */
    queuedAt: instant('queued_at').notNull().default(now),
    nextAttemptAt: instant('next_attempt_at').notNull().default(now),
    /** HTTP status of the last try; null where there was no answer. */
    lastStatus: smallint('last_status', { unsigned: true }),
    lastError: varchar('last_error', { length: 500 }).notNull().default(''),
    ...timestamps(),
  },
  (t) => [
    // The claim of what is due, in index order; and when the next one is.
    index('deliveries_claim').on(t.state, t.nextAttemptAt, t.id),
    // A job's deliveries, newest first; and their removal with the job.
    index('deliveries_job').on(t.jobId, t.id),
    // Retention: does a run still wait to be told?
    index('deliveries_run').on(t.runId, t.state),
    // Retention, oldest first.
    index('deliveries_age').on(t.createdAt),
  ],
);

/** Each try of a delivery. */
export const deliveryAttempts = mysqlTable(
  'delivery_attempts',
  {
    id: id(),
    deliveryId: ref('delivery_id').notNull(),
    attempt: int('attempt', { unsigned: true }).notNull(),
    startedAt: instant('started_at').notNull(),
    durationMs: int('duration_ms', { unsigned: true }).notNull(),
    status: smallint('status', { unsigned: true }),
    error: varchar('error', { length: 500 }).notNull(),
  },
  (t) => [
    // A delivery's tries, newest first.
    index('delivery_attempts_delivery').on(t.deliveryId, t.id),
  ],
);

/** Jobs that were deleted and whose history the leader still has to remove, in small batches. */
export const purges = mysqlTable('purges', {
  jobId: ref('job_id').primaryKey(),
  createdAt: instant('created_at').notNull().default(now),
});

/** What a user's runs of a period amount to: those that started in it. Milliseconds. */
export const jobStats = mysqlTable(
  'job_stats',
  {
    id: id(),
    userId: ref('user_id').notNull(),
    period: mysqlEnum('period', PERIODS).notNull(),
    startAt: instant('start_at').notNull(),
    endAt: instant('end_at').notNull(),
    runs: count('runs'),
    failed: count('failed'),
    /** Distinct jobs that ran. */
    jobCount: count('job_count'),
    durationCount: count('duration_count'),
    durationSumMs: count('duration_sum_ms'),
    durationMinMs: count('duration_min_ms'),
    durationMaxMs: count('duration_max_ms'),
    lagCount: count('lag_count'),
    lagSumMs: count('lag_sum_ms'),
    lagMinMs: count('lag_min_ms'),
    lagMaxMs: count('lag_max_ms'),
    /** Jobs of the user, and enabled ones, when the row was first written. */
    totalJobs: count('total_jobs'),
    enabledJobs: count('enabled_jobs'),
    ...timestamps(),
  },
  (t) => [
    // A user's statistics by period, in the order of time; one row a period.
    uniqueIndex('job_stats_period').on(t.userId, t.period, t.startAt),
    // Pruning, oldest first.
    index('job_stats_age').on(t.period, t.startAt),
  ],
);

/** Which jobs ran in a day or a week: how many they were does not follow from the hours. Forgotten when the period is old. */
export const jobStatJobs = mysqlTable(
  'job_stat_jobs',
  {
    period: mysqlEnum('period', PERIODS).notNull(),
    startAt: instant('start_at').notNull(),
    userId: ref('user_id').notNull(),
    jobId: ref('job_id').notNull(),
  },
  (t) => [primaryKey({ columns: [t.period, t.startAt, t.userId, t.jobId] })],
);

/** Which row of the first BJR's database became which here: an import that is run again goes on where it was. */
export const legacyIds = mysqlTable(
  'legacy_ids',
  {
    kind: mysqlEnum('kind', LEGACY_KINDS).notNull(),
    legacyId: ref('legacy_id').notNull(),
    id: ref('id').notNull(),
  },
  (t) => [primaryKey({ columns: [t.kind, t.legacyId] })],
);

/** How far the leader's recurring duties have come. */
export const watermarks = mysqlTable('watermarks', {
  name: varchar('name', { length: 64 }).primaryKey(),
  reachedAt: instant('reached_at').notNull(),
});

/** Requests that were made under an Idempotency-Key, written in the transaction of what they made. */
export const idempotencyKeys = mysqlTable(
  'idempotency_keys',
  {
    id: id(),
    userId: ref('user_id').notNull(),
    key: binaryText('idempotency_key').notNull(),
    /** SHA-256 of the operation and its parameters: another request under the same key is a mistake. */
    fingerprint: varchar('fingerprint', { length: 64 }).notNull(),
    /** What was made, or acted on. */
    resourceId: ref('resource_id').notNull(),
    createdAt: instant('created_at').notNull().default(now),
  },
  (t) => [
    // One request a key.
    uniqueIndex('idempotency_keys_key').on(t.userId, t.key),
    // Expiry, oldest first.
    index('idempotency_keys_age').on(t.createdAt),
  ],
);

/** Who changed what, written in the transaction of the change. Entries outlive the users and things that they are about. */
export const auditEntries = mysqlTable(
  'audit_entries',
  {
    id: id(),
    /** Null: nobody who is known. */
    userId: ref('user_id'),
    username: varchar('username', { length: 255 }).notNull(),
    address: varchar('address', { length: 64 }).notNull(),
    operation: mysqlEnum('operation', AUDIT_OPERATIONS).notNull(),
    kind: mysqlEnum('kind', AUDIT_KINDS).notNull(),
    objectId: ref('object_id'),
    before: fields('before_fields'),
    after: fields('after_fields'),
    createdAt: instant('created_at').notNull().default(now),
  },
  (t) => [
    // The log, newest first; and its pruning, oldest first.
    index('audit_entries_age').on(t.createdAt, t.id),
    // What a user did, newest first.
    index('audit_entries_user').on(t.userId, t.createdAt, t.id),
    // What was done to a thing, newest first.
    index('audit_entries_object').on(t.kind, t.objectId, t.createdAt, t.id),
  ],
);
