import type { Context } from 'hono';
import { AppError, type Failure } from '../domain/errors.ts';
import { parseDate } from '../domain/naturalDate.ts';
import type { Problem } from '../domain/problem.ts';
import type { ParseOptions } from '../domain/search/parse.ts';
import type { ApiEnv } from './types.ts';

/** Parameters as their types: what clients send for a boolean or a date differs more than a schema can say. */

type Params = Record<string, unknown>;

/** A text parameter; undefined where it is absent. Numbers count as their digits. */
export function textOf(params: Params, name: string): string | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw invalid({ rule: 'not_a_string', field: name });
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
  throw invalid({ rule: 'not_a_boolean', field: name });
}

/** An instant, in ISO 8601 or in words, read in the request's zone and language. */
export function dateOf(c: Context<ApiEnv>, name: string, options: { isForward?: boolean } = {}): Date | undefined {
  const text = textOf(c.get('params'), name)?.trim();
  if (text === undefined || text === '') return undefined;
  const date = readDate(c, text, options);
  if (!date) throw invalid({ rule: 'not_a_date', field: name, value: text.slice(0, 100) });
  return date;
}

export function readDate(c: Context<ApiEnv>, text: string, { isForward = false } = {}): Date | null {
  const [timezone, language] = [c.get('timezone'), c.get('language')];
  return parseDate(text, { timezone, language, now: new Date(), isForward });
}

/** How a search expression reads its dates: as the request's parameters are read, and looking ahead. */
export function datesOf(c: Context<ApiEnv>): ParseOptions {
  return { readDate: (text) => readDate(c, text, { isForward: true }) ?? undefined };
}

type NotFound = Extract<Failure['code'], `${string}_not_found`>;

/** The id in the path. @throws {AppError} of that code for what is no positive number: there is nothing of such an id */
export function pathIdOf(c: Context<ApiEnv>, code: Exclude<NotFound, 'host_not_found'>): number {
  const text = c.req.param('id') ?? '';
  if (!/^\d{1,15}$/.test(text) || Number(text) === 0) throw new AppError({ code });
  return Number(text);
}

/** One of several words; undefined where it is absent or blank. */
export function choiceOf<const T extends string>(params: Params, name: string, choices: readonly T[]): T | undefined {
  const word = textOf(params, name);
  const choice = choices.find((known) => known === word);
  if (word && !choice) throw invalid({ rule: 'not_a_choice', field: name, limit: choices.join(', ') });
  return choice;
}

/** A whole number; undefined where it is absent. */
export function integerOf(params: Params, name: string): number | undefined {
  const text = textOf(params, name)?.trim();
  if (text === undefined) return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw invalid({ rule: 'not_a_number', field: name });
  return Number(text);
}

export function invalid(problem: Problem): AppError {
  return new AppError({ code: 'invalid', problems: [problem] });
}
