import type { Context, MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { firstOf } from '../origin.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

const NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** Swagger UI: its own scripts, the styles that it writes into elements, its images, and this server to talk to. */
const DOCUMENTATION = `${NOTHING}; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'`;
const YEAR_SECONDS = 31_536_000;

/** What browsers are told with every answer: to run, frame, guess and keep nothing of it. */
export function securityHeaders(parts: Pick<ApiParts, 'trustedProxies'>): MiddlewareHandler<ApiEnv> {
  const setCommon = secureHeaders({ strictTransportSecurity: false, xFrameOptions: 'DENY' });
  return async (c, next) => {
    await setCommon(c, next);
    // Not c.header(): it makes an answer that exists already anew, with its body as a stream.
    const { headers } = c.res;
    headers.set('Content-Security-Policy', c.req.path.startsWith('/api-docs') ? DOCUMENTATION : NOTHING);
    if (!headers.get('cache-control')?.startsWith('public')) headers.set('Cache-Control', 'no-store');
    if (isBehindTls(c, parts.trustedProxies)) headers.set('Strict-Transport-Security', `max-age=${YEAR_SECONDS}`);
  };
}

/** This server speaks plain HTTP: that there is TLS in front is for a proxy to say, one that is trusted. */
function isBehindTls(c: Context, trustedProxies: number): boolean {
  return trustedProxies > 0 && firstOf(c.req.header('x-forwarded-proto')) === 'https';
}
