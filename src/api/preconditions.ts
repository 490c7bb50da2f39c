import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import { AppError } from '../domain/errors.ts';
import type { Idempotency } from '../services/idempotency.ts';
import type { Precondition } from '../services/jobs.ts';
import type { ApiEnv } from './types.ts';

/** Headers by which a client says under which condition its request is to be carried out. */

const KEY_LENGTH_MAX = 255;

/**
 * The Idempotency-Key of a request, with what tells the request from another: its operation and parameters, without those
 * that are `secret`, of which not even a digest is kept.
 */
export function idempotencyOf(c: Context<ApiEnv>, secret: readonly string[] = []): Idempotency {
  const key = c.req.header('idempotency-key')?.trim();
  if (!key) return null;
  if (key.length > KEY_LENGTH_MAX) {
    throw new AppError({
      code: 'invalid',
      problems: [{ rule: 'too_long', field: 'Idempotency-Key', limit: KEY_LENGTH_MAX }],
    });
  }
  const shown = Object.entries(c.get('params')).filter(([name]) => !secret.includes(name));
  const params = shown.toSorted(([a], [b]) => (a < b ? -1 : 1));
  const request = JSON.stringify([c.req.method, c.req.path, params]);
  return { key, fingerprint: createHash('sha256').update(request).digest('hex') };
}

/** The answer repeats what an earlier request with the same key made. */
export function setReplayed(c: Context<ApiEnv>, isReplay: boolean): void {
  if (isReplay) c.header('Idempotent-Replayed', 'true');
}

/** The revision of the definition; how a job's runs fare does not change it. */
export const etagOf = ({ revision }: { revision: number }) => `"${revision}"`;

/** If-Match: any of the listed tags, by strong comparison (RFC 9110, 13.1.1); null where the request makes no condition. */
export function preconditionOf(c: Context<ApiEnv>): Precondition {
  const header = c.req.header('if-match')?.trim();
  if (!header) return null;
  const tags = header.split(',').map((tag) => tag.trim());
  return (job) => tags.includes('*') || tags.includes(etagOf(job));
}
