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
}

export const NAME_LENGTH_MAX = 255;
export const COMMAND_BYTES_MAX = 65_536;
export const CALLBACK_LENGTH_MAX = 2048;

/**
 * What is wrong with a definition, in the words of the contract; [] when nothing is. The time zone is expected to be
 * valid: it has an answer of its own.
 */
export function findProblems(job: JobDefinition): string[] {
  return [
    ...blank('Name', job.name),
    ...tooLong('Name', job.name.length, `${NAME_LENGTH_MAX} characters`, NAME_LENGTH_MAX),
    ...unprintable('Name', job.name),
    ...blank('Command', job.command),
    ...tooLong('Command', Buffer.byteLength(job.command), `${COMMAND_BYTES_MAX} bytes`, COMMAND_BYTES_MAX),
    ...unprintable('Command', job.command),
    ...cronProblems(job),
    ...callbackProblems('Success callback', job.successCallback),
    ...callbackProblems('Failure callback', job.failureCallback),
  ];
}

const blank = (field: string, value: string) => (value.trim() === '' ? [`${field} can't be blank`] : []);

const tooLong = (field: string, length: number, limit: string, max: number) =>
  length > max ? [`${field} is too long (maximum is ${limit})`] : [];

/** No process can be given one: a string ends at it. */
const unprintable = (field: string, value: string) =>
  value.includes('\0') ? [`${field} can't contain a null character`] : [];

function cronProblems({ cron, timezone }: JobDefinition): string[] {
  if (cron.trim() === '') return blank('Cron', cron);
  if (cron.length > CRON_LENGTH_MAX)
    return tooLong('Cron', cron.length, `${CRON_LENGTH_MAX} characters`, CRON_LENGTH_MAX);
  try {
    parseSchedule(cron, timezone);
    return [];
  } catch (error) {
    if (error instanceof InvalidCron) return [error.message];
    throw error;
  }
}

function callbackProblems(field: string, url: string): string[] {
  if (url === '') return [];
  if (url.length > CALLBACK_LENGTH_MAX) return [`${field} is too long (maximum is ${CALLBACK_LENGTH_MAX} characters)`];
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  return protocol === 'http:' || protocol === 'https:' ? [] : [`${field} must be an http or https URL`];
}
