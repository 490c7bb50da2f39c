import { createHash } from 'node:crypto';
import type { JobDefinition } from './job.ts';

export const AUDIT_KINDS = ['job', 'folder', 'user', 'run', 'workers'] as const;
export type AuditKind = (typeof AUDIT_KINDS)[number];

export const AUDIT_OPERATIONS = [
  'create',
  'update',
  'delete',
  'run_now',
  'cancel',
  'change_password',
  'refuse_sign_in',
  'quiesce',
  'resume',
  'stop',
  'redeliver',
  'replace_secret',
] as const;
export type AuditOperation = (typeof AUDIT_OPERATIONS)[number];

/** Who changed something; the name is kept with the entry, because users come and go. */
export interface Actor {
  /** Null: nobody who is known. */
  userId: number | null;
  username: string;
  /** The client's network address. */
  address: string;
}

/** Fields of a thing by the names of the contract. */
export type Fields = Record<string, unknown>;

/** What was done to what. */
export interface Change {
  operation: AuditOperation;
  kind: AuditKind;
  /** Null for what has no id, such as the workers of a host. */
  objectId: number | null;
  /** What it was and what it became, as far as the two differ; null where it was not there, or nothing is to be said. */
  before: Fields | null;
  after: Fields | null;
}

/**
 * What an entry says of a thing before and after a change: of an update the fields that differ. They are compared as they
 * are and hidden afterwards, so that a new secret shows as a change.
 */
export function compareFields(before: Fields | null, after: Fields | null): Pick<Change, 'before' | 'after'> {
  const isChanged = (name: string) => !before || !after || JSON.stringify(before[name]) !== JSON.stringify(after[name]);
  const shown = (fields: Fields | null) =>
    fields &&
    Object.fromEntries(
      Object.entries(fields).flatMap(([name, value]) => (isChanged(name) ? [[name, hide(name, value)]] : [])),
    );
  return { before: shown(before), after: shown(after) };
}

const HIDDEN = '[hidden]';

/** Variables and callbacks hold passwords and tokens; commands and descriptions may be long. */
function hide(name: string, value: unknown): unknown {
  if (name === 'env') return Object.fromEntries(Object.keys(Object(value)).map((variable) => [variable, HIDDEN]));
  if (name.endsWith('_callback')) return hideUrl(String(value));
  return typeof value === 'string' ? shorten(value) : value;
}

/** Only where it leads: the rest of a URL, such as a chat's webhook, may be all that is needed to use it. */
function hideUrl(url: string): string {
  return URL.canParse(url) ? `${new URL(url).origin}/${HIDDEN}` : '';
}

const SHOWN_MAX = 4000;

/** Two long texts that begin alike are told apart by their digests. */
function shorten(text: string): string {
  if (text.length <= SHOWN_MAX) return text;
  const digest = createHash('sha256').update(text).digest('hex');
  return `${text.slice(0, SHOWN_MAX)}… [${text.length} characters, sha256 ${digest}]`;
}

/** A job's definition. */
export function fieldsOfJob(job: JobDefinition & { tags: string[] }): Fields {
  return {
    name: job.name,
    cron: job.cron,
    timezone: job.timezone,
    enabled: job.enabled,
    command: job.command,
    tags: job.tags,
    success_callback: job.successCallback,
    failure_callback: job.failureCallback,
    callback_policy: job.callbackPolicy,
    description: job.description,
    timeout_seconds: job.timeoutSeconds,
    max_retries: job.maxRetries,
    retry_delay_seconds: job.retryDelaySeconds,
    misfire_policy: job.misfirePolicy,
    catch_up_max: job.catchUpMax,
    env: job.env,
    working_directory: job.workingDirectory,
    starts_at: job.startsAt,
    ends_at: job.endsAt,
    keep_runs: job.keepRuns,
    keep_days: job.keepDays,
  };
}
