import type { CallbackPolicy } from './delivery.ts';
import type { MisfirePolicy } from './misfire.ts';
import { nameLengthProblems } from './name.ts';
import { nullCharacter, type Problem, problemIf } from './problem.ts';
import { RETRY_DELAY_SECONDS } from './retry.ts';
import { CRON_LENGTH_MAX, InvalidCron, parseSchedule } from './schedule.ts';

/** A job's definition as its user writes it. */
export interface JobDefinition {
  name: string;
  command: string;
  cron: string;
  timezone: string;
  enabled: boolean;
  successCallback: string;
  failureCallback: string;
  callbackPolicy: CallbackPolicy;
  description: string;
  /** A run's time limit; 0: none. */
  timeoutSeconds: number;
  maxRetries: number;
  /** The wait before the first retry (src/domain/retry.ts). */
  retryDelaySeconds: number;
  misfirePolicy: MisfirePolicy;
  /** With `catch_up`: the most occurrences that are run late. */
  catchUpMax: number;
  env: Record<string, string>;
  /** '': the worker's own. */
  workingDirectory: string;
  startsAt: Date | null;
  endsAt: Date | null;
  /** How many finished runs, and how many days of them, are kept; 0: all. */
  keepRuns: number;
  keepDays: number;
}

/** What a job is where its user says nothing. */
export const NEW_JOB: JobDefinition = {
  name: '',
  command: '',
  cron: '',
  timezone: 'UTC',
  enabled: true,
  successCallback: '',
  failureCallback: '',
  callbackPolicy: 'every',
  description: '',
  timeoutSeconds: 0,
  maxRetries: 0,
  retryDelaySeconds: RETRY_DELAY_SECONDS,
  misfirePolicy: 'fire_once',
  catchUpMax: 50,
  env: {},
  workingDirectory: '',
  startsAt: null,
  endsAt: null,
  keepRuns: 0,
  keepDays: 0,
};

export const LENGTH_MAX = { callback: 2048, description: 10_000, workingDirectory: 1024 };
export const BYTES_MAX = { command: 65_536, env: 32_768 };
/** Both included. A time limit is one of Node's timers, which hold 2^31 − 1 ms. */
export const RANGES = {
  timeoutSeconds: [0, 2_147_483],
  maxRetries: [0, 100],
  retryDelaySeconds: [0, 604_800],
  catchUpMax: [1, 1000],
  keepRuns: [0, 100_000],
  keepDays: [0, 36_500],
} as const;

/**
 * What is wrong with a definition; [] when nothing is. The time zone is expected to be valid: it has an answer of its own.
 */
export function findProblems(job: JobDefinition): Problem[] {
  return [
    ...blank('name', job.name),
    ...nameLengthProblems('name', job.name),
    ...nullCharacter('name', job.name),
    ...blank('command', job.command),
    ...commandProblems(job.command),
    ...cronProblems(job),
    ...callbackProblems('success_callback', job.successCallback),
    ...callbackProblems('failure_callback', job.failureCallback),
    ...textProblems('description', job.description, LENGTH_MAX.description),
    ...rangeProblems('timeout_seconds', job.timeoutSeconds, RANGES.timeoutSeconds),
    ...rangeProblems('max_retries', job.maxRetries, RANGES.maxRetries),
    ...rangeProblems('retry_delay_seconds', job.retryDelaySeconds, RANGES.retryDelaySeconds),
    ...rangeProblems('catch_up_max', job.catchUpMax, RANGES.catchUpMax),
    ...envProblems(job.env),
    ...textProblems('working_directory', job.workingDirectory, LENGTH_MAX.workingDirectory),
    ...problemIf(!/^(\/|$)/.test(job.workingDirectory), 'not_absolute', 'working_directory'),
    ...boundProblems(job),
    ...rangeProblems('keep_runs', job.keepRuns, RANGES.keepRuns),
    ...rangeProblems('keep_days', job.keepDays, RANGES.keepDays),
  ];
}

const blank = (field: string, value: string) => problemIf(value.trim() === '', 'blank', field);

const textProblems = (field: string, value: string, lengthMax: number) => [
  ...problemIf(value.length > lengthMax, 'too_long', field, { limit: lengthMax }),
  ...nullCharacter(field, value),
];

const rangeProblems = (field: string, value: number, [min, max]: readonly [number, number]) =>
  problemIf(value < min || value > max, 'out_of_range', field, { limit: `${min}–${max}` });

function commandProblems(command: string): Problem[] {
  const isTooLong = Buffer.byteLength(command) > BYTES_MAX.command;
  return [
    ...problemIf(isTooLong, 'too_many_bytes', 'command', { limit: BYTES_MAX.command }),
    ...nullCharacter('command', command),
  ];
}

/** What is wrong with an expression; its zone is expected to be valid. */
export function cronProblems({ cron, timezone }: Pick<JobDefinition, 'cron' | 'timezone'>): Problem[] {
  if (cron.trim() === '') return blank('cron', cron);
  if (cron.length > CRON_LENGTH_MAX) return problemIf(true, 'too_long', 'cron', { limit: CRON_LENGTH_MAX });
  try {
    parseSchedule(cron, timezone);
    return [];
  } catch (error) {
    if (error instanceof InvalidCron) return problemIf(true, 'cron', 'cron', { value: cron });
    throw error;
  }
}

function callbackProblems(field: string, url: string): Problem[] {
  if (url === '') return [];
  if (url.includes('\0')) return nullCharacter(field, url);
  if (url.length > LENGTH_MAX.callback) return problemIf(true, 'too_long', field, { limit: LENGTH_MAX.callback });
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  return problemIf(protocol !== 'http:' && protocol !== 'https:', 'not_a_url', field);
}

/** BJR_ is what a run learns of itself. */
const VARIABLE = /^(?!BJR_)[A-Za-z_][A-Za-z0-9_]*$/;

function envProblems(env: Record<string, string>): Problem[] {
  const unusable = Object.keys(env).find((name) => !VARIABLE.test(name));
  const isTooLong = Buffer.byteLength(JSON.stringify(env)) > BYTES_MAX.env;
  return [
    ...problemIf(unusable !== undefined, 'not_a_variable', 'env', { value: unusable?.slice(0, 100) ?? '' }),
    ...problemIf(isTooLong, 'too_many_bytes', 'env', { limit: BYTES_MAX.env }),
    ...nullCharacter('env', Object.values(env).join('')),
  ];
}

function boundProblems({ startsAt, endsAt }: JobDefinition): Problem[] {
  return problemIf(startsAt !== null && endsAt !== null && endsAt <= startsAt, 'too_early', 'ends_at', {
    limit: 'starts_at',
  });
}
