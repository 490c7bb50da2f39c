import type { Context } from 'hono';
import { CALLBACK_POLICIES } from '../domain/delivery.ts';
import { NEW_JOB } from '../domain/job.ts';
import { MISFIRE_POLICIES } from '../domain/misfire.ts';
import type { JobInput } from '../services/jobs.ts';
import { booleanOf, choiceOf, dateOf, integerOf, invalid, textOf } from './inputs.ts';
import type { ApiEnv } from './types.ts';

type Params = Record<string, unknown>;

/**
 * The fields of a job that were sent; absent ones are left out. For what the contract has not from of old, null or ""
 * sets the field back to its default.
 */
export function jobInputOf(c: Context<ApiEnv>): JobInput {
  const params = c.get('params');
  const reset = <T>(name: string, fallback: T, read: () => T | undefined) =>
    params[name] === null || params[name] === '' ? fallback : read();
  const text = (name: string) => reset(name, '', () => textOf(params, name));
  const integer = (name: string, fallback: number) => reset(name, fallback, () => integerOf(params, name));
  const date = (name: string) => reset(name, null, () => dateOf(c, name, { isForward: true }));
  const input = {
    name: textOf(params, 'name'),
    command: textOf(params, 'command'),
    cron: textOf(params, 'cron'),
    timezone: textOf(params, 'timezone') || undefined,
    enabled: enabledOf(params),
    successCallback: text('success_callback')?.trim(),
    failureCallback: text('failure_callback')?.trim(),
    tags: tagsOf(params),
    description: text('description'),
    timeoutSeconds: integer('timeout_seconds', NEW_JOB.timeoutSeconds),
    maxRetries: integer('max_retries', NEW_JOB.maxRetries),
    retryDelaySeconds: integer('retry_delay_seconds', NEW_JOB.retryDelaySeconds),
    misfirePolicy: reset('misfire_policy', NEW_JOB.misfirePolicy, () =>
      choiceOf(params, 'misfire_policy', MISFIRE_POLICIES),
    ),
    callbackPolicy: reset('callback_policy', NEW_JOB.callbackPolicy, () =>
      choiceOf(params, 'callback_policy', CALLBACK_POLICIES),
    ),
    catchUpMax: integer('catch_up_max', NEW_JOB.catchUpMax),
    env: reset('env', NEW_JOB.env, () => envOf(params)),
    workingDirectory: text('working_directory'),
    startsAt: date('starts_at'),
    endsAt: date('ends_at'),
    keepRuns: integer('keep_runs', NEW_JOB.keepRuns),
    keepDays: integer('keep_days', NEW_JOB.keepDays),
  };
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

function enabledOf(params: Params): boolean | undefined {
  if (params['enabled'] === '' || params['enabled'] === null)
    throw invalid({ rule: 'not_a_boolean', field: 'enabled' });
  return booleanOf(params, 'enabled');
}

/** A list or a comma-separated string; "", null or [] clears; absent keeps. */
function tagsOf(params: Params): string[] | undefined {
  const value = params['tags'];
  if (value === undefined) return undefined;
  const parts = Array.isArray(value) ? value : [value ?? ''];
  if (!parts.every((part) => typeof part === 'string')) throw invalid({ rule: 'not_a_list', field: 'tags' });
  const names = parts.flatMap((part) => part.split(',')).map((name) => name.trim());
  const byKey = new Map(names.filter(Boolean).map((name) => [name.toLowerCase(), name]));
  return [...byKey.values()];
}

/** An object of strings, in a form as its JSON. The whole set is replaced. */
function envOf(params: Params): Record<string, string> | undefined {
  const value = typeof params['env'] === 'string' ? parseJson(params['env']) : params['env'];
  if (value === undefined) return undefined;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = isObject ? Object.entries(value) : [['', null]];
  if (!entries.every(([, text]) => typeof text === 'string')) throw invalid({ rule: 'not_an_object', field: 'env' });
  return Object.fromEntries(entries);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
