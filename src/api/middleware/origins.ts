import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import type { ApiEnv, ApiParts } from '../types.ts';

const PREFLIGHT_SECONDS = 600;

/** What a page of another origin may send and read. Without credentials: a token is sent by who has it, not by the browser. */
const allow = cors({
  origin: (origin) => origin,
  allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  allowHeaders: ['Authorization', 'Content-Type', 'If-Match', 'Idempotency-Key', 'Range', 'Last-Event-ID'],
  exposeHeaders: [
    'Total',
    'Per-Page',
    'Link',
    'ETag',
    'Retry-After',
    'Idempotent-Replayed',
    'Accept-Ranges',
    'Content-Range',
    'BJR-Output-Bytes',
    'BJR-Output-Truncated',
  ],
  maxAge: PREFLIGHT_SECONDS,
});

/** Lets pages of the configured origins in, by their exact names; of none unless configured. */
export function allowOrigins(parts: Pick<ApiParts, 'corsOrigins'>): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (parts.corsOrigins.includes(c.req.header('origin') ?? '')) return allow(c, next);
    await next();
    // What another origin is told differs.
    if (parts.corsOrigins.length > 0) c.res.headers.append('Vary', 'Origin');
  };
}
