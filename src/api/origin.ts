import type { Context } from 'hono';

const HOST = /^[A-Za-z0-9._[\]:-]+$/;

/** Where clients see this server, behind a proxy too: `https://bjr.example.com`. */
export function originOf(c: Context): string {
  const url = new URL(c.req.url);
  const forwardedHost = firstOf(c.req.header('x-forwarded-host'));
  const forwardedProto = firstOf(c.req.header('x-forwarded-proto'));
  // A browser's URL parser lets more pass than a header may hold.
  const ownHost = HOST.test(url.host) ? url.host : 'localhost';
  const host = forwardedHost && HOST.test(forwardedHost) ? forwardedHost : ownHost;
  const protocol = forwardedProto === 'https' || forwardedProto === 'http' ? forwardedProto : url.protocol.slice(0, -1);
  return `${protocol}://${host}`;
}

/** A chain of proxies lists itself; the first saw the client. */
export const firstOf = (header: string | undefined) => header?.split(',')[0]?.trim();
