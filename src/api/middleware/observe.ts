import type { MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { monotonicMs } from '../../platform/clock.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

/** Tells of every request, by the pattern of its route: what clients write into a path is theirs, and without end. */
export const observe = (parts: Pick<ApiParts, 'emit'>): MiddlewareHandler<ApiEnv> =>
  async function observeRequest(c, next) {
    const startedMs = monotonicMs();
    await next();
    const durationMs = monotonicMs() - startedMs;
    // Middleware is there for all paths; a route comes after it.
    const route = matchedRoutes(c).findLast(({ path }) => path !== '/*')?.path;
    const what = route === undefined ? UNKNOWN : { method: c.req.method, route };
    parts.emit({ type: 'request_answered', ...what, status: c.res.status, durationMs });
  };

/** No route at all. */
const UNKNOWN = { method: 'any', route: 'none' };
