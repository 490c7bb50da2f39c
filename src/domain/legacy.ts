import { AppError } from './errors.ts';
import { findProblems, type JobDefinition, LENGTH_MAX, NEW_JOB } from './job.ts';
import { foldName, nameLengthProblems } from './name.ts';
import type { Outcome } from './outcome.ts';
import type { Trigger } from './plan.ts';
import type { Problem } from './problem.ts';
import { type ParseOptions, parseExpression } from './search/parse.ts';
import { PERIODS, type Period, periodEnd, periodStart } from './statistics.ts';
import { resolveTimezone } from './timezone.ts';

/*
 * What the first BJR's rows mean here. A row is taken over as it is, with changes that are told, or refused with the reason.
 */

/** What keeps its id where it is free. */
export const LEGACY_KINDS = ['user', 'job', 'folder', 'run'] as const;
export type LegacyKind = (typeof LEGACY_KINDS)[number];

/** A row as the database gave it: which columns there are depends on the first BJR's version. */
export type LegacyRow = Readonly<Record<string, unknown>>;

export type Translated<T> = { value: T; changes: string[] } | { refused: string };

const text = (row: LegacyRow, column: string) => {
  const value = row[column];
  return typeof value === 'string' ? value : Buffer.isBuffer(value) ? value.toString('utf8') : '';
};
const number = (row: LegacyRow, column: string) => {
  const value = row[column];
  return value === null || value === undefined || !Number.isFinite(Number(value)) ? null : Number(value);
};
/** What a column for dates takes, and a period after it: 9999 in the source meant "never". */
const [FIRST_YEAR, LAST_YEAR] = [1000, 9997];
const date = (row: LegacyRow, column: string) => {
  const value = row[column];
  // A zero date is no number of milliseconds.
  const year = value instanceof Date ? value.getUTCFullYear() : Number.NaN;
  return value instanceof Date && year >= FIRST_YEAR && year <= LAST_YEAR ? value : null;
};
const flag = (row: LegacyRow, column: string) => {
  const value = number(row, column);
  return value === null ? null : value !== 0;
};

/** When a row was written: the epoch where nobody noted it. */
function timestampsOf(row: LegacyRow) {
  const createdAt = date(row, 'created_at') ?? date(row, 'updated_at') ?? new Date(0);
  return { createdAt, updatedAt: date(row, 'updated_at') ?? createdAt };
}

const explain = ({ rule, field, limit, value }: Problem) =>
  rule === 'cron'
    ? `cron '${value}' cannot be read`
    : `${field}: ${rule.replaceAll('_', ' ')}${limit === undefined ? '' : ` (limit ${limit})`}`;

const refuse = (problems: Problem[]) => ({ refused: problems.map(explain).join('; ') });

export interface LegacyUser {
  username: string;
  passwordDigest: string;
  isRoot: boolean;
  createdAt: Date;
  updatedAt: Date;
}

const BCRYPT = /^\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$/;

export function translateUser(row: LegacyRow): Translated<LegacyUser> {
  const username = text(row, 'username');
  if (username.trim() === '') return { refused: 'username: blank' };
  const problems = nameLengthProblems('username', username);
  if (problems.length > 0) return refuse(problems);
  const digest = text(row, 'password_digest');
  const isUsable = BCRYPT.test(digest);
  return {
    value: {
      username,
      // A digest that is none matches nothing.
      passwordDigest: isUsable ? digest : '',
      isRoot: foldName(username) === 'root',
      ...timestampsOf(row),
    },
    changes: isUsable ? [] : ['its password is no bcrypt digest: root must set a new one'],
  };
}

export interface LegacyJob extends JobDefinition {
  lastRun: Date | null;
  success: boolean | null;
  /** An occurrence that the first BJR had still to run. */
  legacyNextRun: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

export function translateJob(row: LegacyRow): Translated<LegacyJob> {
  const zone = text(row, 'timezone') || 'UTC';
  const timezone = resolveTimezone(zone);
  if (timezone === undefined) return { refused: `time zone '${zone}' is not known` };
  const changes: string[] = [];
  const callback = (column: string) => {
    const url = text(row, column).trim();
    const isUsable = url === '' || (url.length <= LENGTH_MAX.callback && /^https?:/i.test(url) && URL.canParse(url));
    if (!isUsable) changes.push(`${column} '${url.slice(0, 200)}' is no web address and was left out`);
    return isUsable ? url : '';
  };
  const lastRun = date(row, 'last_run');
  const job: LegacyJob = {
    ...NEW_JOB,
    name: text(row, 'name'),
    command: text(row, 'command'),
    cron: text(row, 'cron').trim(),
    timezone,
    // It stored null for words that it did not know: such a job did not run.
    enabled: flag(row, 'enabled') ?? false,
    successCallback: callback('success_callback'),
    failureCallback: callback('failure_callback'),
    lastRun,
    success: lastRun && (flag(row, 'success') ?? false),
    legacyNextRun: date(row, 'next_run'),
    ...timestampsOf(row),
  };
  const problems = findProblems(job);
  return problems.length > 0 ? refuse(problems) : { value: job, changes };
}

export interface LegacyFolder {
  name: string;
  expression: string;
  createdAt: Date;
  updatedAt: Date;
}

const EXPRESSION_LENGTH_MAX = 1000;

/** The first BJR ignored the terms that it did not know: without them the folder shows the same jobs. */
export function translateFolder(row: LegacyRow, dates: ParseOptions): Translated<LegacyFolder> {
  const name = text(row, 'name');
  if (name.trim() === '') return { refused: 'name: blank' };
  const problems = nameLengthProblems('name', name);
  if (problems.length > 0) return refuse(problems);
  const given = text(row, 'expression').trim();
  const expression = isReadable(given, dates) ? given : readablePart(given, dates);
  if (expression === '') return { refused: `expression '${given}' cannot be read` };
  if (expression.length > EXPRESSION_LENGTH_MAX)
    return { refused: `expression: too long (limit ${EXPRESSION_LENGTH_MAX})` };
  const changes = expression === given ? [] : [`expression '${given}' became '${expression}'`];
  return { value: { name, expression, ...timestampsOf(row) }, changes };
}

const isDate = (word: string) => /^(start|end)_date:/i.test(word);

function readablePart(expression: string, dates: ParseOptions): string {
  const words = expression.split(/\s+/);
  const spans = words.filter(isDate);
  const kept = words.filter((word) => (isDate(word) ? isReadable(spans.join(' '), dates) : isReadable(word, dates)));
  const part = kept.join(' ');
  return isReadable(part, dates) ? part : '';
}

function isReadable(expression: string, dates: ParseOptions): boolean {
  try {
    return parseExpression(expression, dates).length > 0;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

export interface LegacyRun {
  trigger: Trigger;
  scheduledFor: Date | null;
  startedAt: Date;
  finishedAt: Date;
  outcome: Outcome;
  returnCode: number;
  errorMessage: string;
  createdAt: Date;
  updatedAt: Date;
}

/** Clients expect a number; no exit status is negative. */
const RETURN_CODE_UNKNOWN = -1;
const RETURN_CODE_MAX = 2 ** 31 - 1;
const ERROR_MESSAGE_BYTES_MAX = 65_535;

/** A run without an end is lost: the first BJR must be stopped when its runs are taken over. */
export function translateRun(row: LegacyRow): Translated<LegacyRun> {
  const { createdAt, updatedAt } = timestampsOf(row);
  const scheduledFor = date(row, 'scheduled_start_time');
  const startedAt = date(row, 'start_time') ?? createdAt;
  const finishedAt = date(row, 'end_time');
  const isManual = flag(row, 'is_manual') ?? scheduledFor === null;
  const message = text(row, 'error_message');
  const { text: errorMessage, isCut } = cutBytes(message, ERROR_MESSAGE_BYTES_MAX);
  const changes = isCut ? ['error message cut to 64 KiB'] : [];
  const common = {
    trigger: isManual ? ('manual' as const) : ('schedule' as const),
    scheduledFor: isManual ? null : scheduledFor,
    startedAt,
    errorMessage,
    createdAt,
    updatedAt,
  };
  const success = flag(row, 'success');
  if (finishedAt === null || success === null) {
    const lost = {
      outcome: 'lost' as const,
      returnCode: RETURN_CODE_UNKNOWN,
      finishedAt: finishedAt ?? laterOf(updatedAt, startedAt),
      errorMessage: message === '' ? 'Lost: the first BJR recorded no end of it.' : errorMessage,
    };
    return { value: { ...common, ...lost }, changes: [...changes, 'without an end: taken over as lost'] };
  }
  const code = number(row, 'return_code') ?? (success ? 0 : RETURN_CODE_UNKNOWN);
  const returnCode = Math.trunc(Math.min(Math.max(code, -RETURN_CODE_MAX), RETURN_CODE_MAX));
  return { value: { ...common, outcome: success ? 'succeeded' : 'failed', returnCode, finishedAt }, changes };
}

const laterOf = (a: Date, b: Date) => (a > b ? a : b);

/** At the end of a character. */
function cutBytes(value: string, bytesMax: number): { text: string; isCut: boolean } {
  const bytes = Buffer.from(value);
  if (bytes.length <= bytesMax) return { text: value, isCut: false };
  return {
    text: bytes
      .subarray(0, bytesMax)
      .toString('utf8')
      .replace(/\uFFFD+$/, ''),
    isCut: true,
  };
}

/** A stream's first and last half of the limit, with a line between that says what was left out, as the runners keep it. */
export function boundOutput(value: string, bytesMax: number): { text: string; bytes: number; isTruncated: boolean } {
  const bytes = Buffer.from(value);
  if (bytes.length <= bytesMax) return { text: value, bytes: bytes.length, isTruncated: false };
  const half = Math.floor(bytesMax / 2);
  const mark = `\n[… ${bytes.length - 2 * half} bytes left out …]\n`;
  const bounded = bytes.subarray(0, half).toString('utf8') + mark + bytes.subarray(-half).toString('utf8');
  return { text: bounded, bytes: bytes.length, isTruncated: true };
}

/** A name that nobody has, made of one that somebody has. */
export function distinguish(name: string, legacyId: number): string {
  const suffix = ` (${legacyId})`;
  return name.trim().slice(0, 255 - suffix.length) + suffix;
}

/** A period's statistics. Milliseconds. */
export interface LegacyStatistics {
  period: Period;
  startAt: Date;
  endAt: Date;
  runs: number;
  failed: number;
  jobCount: number;
  durationCount: number;
  durationSumMs: number;
  durationMinMs: number;
  durationMaxMs: number;
  lagCount: number;
  lagSumMs: number;
  lagMinMs: number;
  lagMaxMs: number;
  totalJobs: number;
  enabledJobs: number;
}

/** It kept averages where sums are kept here. */
export function translateStatistics(row: LegacyRow): Translated<LegacyStatistics> {
  const period = PERIODS.find((name) => name === text(row, 'period'));
  const startAt = date(row, 'start_dt');
  if (!period) return { refused: `period '${text(row, 'period')}' is not known` };
  if (!startAt) return { refused: 'without a date' };
  if (periodStart(period, startAt).getTime() !== startAt.getTime())
    return { refused: `${period}s that do not begin with one of UTC` };
  const count = (column: string) => Math.max(0, Math.round(number(row, column) ?? 0));
  const ms = (column: string) => Math.max(0, Math.round((number(row, column) ?? 0) * 1000));
  const runs = count('runs');
  const value = {
    period,
    startAt,
    endAt: periodEnd(period, startAt),
    runs,
    failed: count('failed'),
    jobCount: count('job_count'),
    durationCount: runs,
    durationSumMs: ms('avg_runtime') * runs,
    durationMinMs: ms('min_runtime'),
    durationMaxMs: ms('max_runtime'),
    lagCount: runs,
    lagSumMs: ms('avg_job_lag') * runs,
    lagMinMs: ms('min_job_lag'),
    lagMaxMs: ms('max_job_lag'),
    totalJobs: count('total_jobs'),
    enabledJobs: count('total_enabled'),
  };
  return { value, changes: [] };
}
