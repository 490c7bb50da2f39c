import { AppError } from '../domain/errors.ts';
import { parseLocalDate as parseDate } from '../domain/localDate.ts';
import type { JobInput } from '../services/jobs.ts';

/** Parameters as their types: what clients send for a boolean, a date or a list differs more than a schema can say. */

type Params = Record<string, unknown>;

/** A text parameter; undefined where it is absent. Numbers count as their digits. */
export function textOf(params: Params, name: string): string | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw invalid(`${label(name)} must be a string`);
}

const TRUE = ['true', '1', 'yes', 'on'];
const FALSE = ['false', '0', 'no', 'off'];

/** A boolean in any of the forms that clients send (`True`, 1, "yes"); undefined where it is absent or blank. */
export function booleanOf(params: Params, name: string): boolean | undefined {
  const value = params[name];
  if (value === undefined || value === '') return undefined;
  const word = textOf(params, name)?.toLowerCase() ?? '';
  if (TRUE.includes(word)) return true;
  if (FALSE.includes(word)) return false;
  throw invalid(`${label(name)} must be true or false`);
}

/** An instant: ISO 8601; without an offset it is read in the request's zone. */
export function dateOf(params: Params, name: string, timezone: string): Date | undefined {
  const text = textOf(params, name)?.trim();
  if (text === undefined || text === '') return undefined;
  const date = parseDate(text, timezone);
  if (!date) throw invalid(`${label(name)} '${text}' is not a date`);
  return date;
}

/** A positive id from a path; null for anything else: there is nothing of such an id. */
export function idOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) && Number(text) > 0 ? Number(text) : null;
}

/** The fields of a job that were sent. */
export function jobInputOf(params: Params): JobInput {
  const tags = tagsOf(params);
  const input = {
    name: textOf(params, 'name'),
    command: textOf(params, 'command'),
    cron: textOf(params, 'cron'),
    timezone: textOf(params, 'timezone') || undefined,
    enabled: enabledOf(params),
    successCallback: callbackOf(params, 'success_callback'),
    failureCallback: callbackOf(params, 'failure_callback'),
    tags,
  };
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

function enabledOf(params: Params): boolean | undefined {
  if (params['enabled'] === '' || params['enabled'] === null) throw invalid('Enabled must be true or false');
  return booleanOf(params, 'enabled');
}

/** "" or null clears. */
function callbackOf(params: Params, name: string): string | undefined {
  return params[name] === null ? '' : textOf(params, name)?.trim();
}

/** A list or a comma-separated string; "", null or [] clears; absent keeps. */
function tagsOf(params: Params): string[] | undefined {
  const value = params['tags'];
  if (value === undefined) return undefined;
  const parts = Array.isArray(value) ? value : [value ?? ''];
  if (!parts.every((part) => typeof part === 'string')) throw invalid('Tags must be a string or a list of strings');
  const names = parts.flatMap((part) => part.split(',')).map((name) => name.trim());
  const byKey = new Map(names.filter(Boolean).map((name) => [name.toLowerCase(), name]));
  return [...byKey.values()];
}

function invalid(problem: string): AppError {
  return new AppError({ code: 'invalid', problems: [problem] });
}

const label = (name: string) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll('_', ' ');
