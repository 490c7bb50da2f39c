import { isIP } from 'node:net';
import { Redis } from 'ioredis';
import type { RedisConfig } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';

export type { Redis };

/**
 * A client that fails fast: what Redis holds may be lost, so nobody waits for it. Commands while it is away are refused
 * at once, an unanswered one after a second; the client reconnects by itself, every two seconds at the most.
 */
export function connectRedis(config: RedisConfig, log: Log): Redis {
  const redis = new Redis({
    host: config.host,
    port: config.port,
    db: config.db,
    ...(config.username !== null && { username: config.username }),
    ...(config.password !== null && { password: config.password }),
    ...(config.tls && { tls: tlsOptions(config.host, config.tls.ca) }),
    connectTimeout: 2000,
    commandTimeout: 1000,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: (tries) => Math.min(50 * 2 ** tries, 2000),
  });
  let isAway = false;
  redis.on('error', (error: Error) => {
    if (!isAway) log.warn({ err: error.message }, 'Redis is away: going on without it');
    isAway = true;
  });
  redis.on('ready', () => {
    if (isAway) log.info('Redis is back');
    isAway = false;
  });
  return redis;
}

/** The certificate must be the host's; Node refuses one that is not. A name is told to the server too, which may have several. */
function tlsOptions(host: string, ca: string | null) {
  return { ...(ca !== null && { ca }), ...(isIP(host) === 0 && { servername: host }) };
}

/** Resolves once the client is ready, or after the time given: true if it is. */
export function awaitRedis(redis: Redis, timeoutMs: number): Promise<boolean> {
  if (redis.status === 'ready') return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(redis.status === 'ready'), timeoutMs);
    redis.once('ready', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** The answer, or null where Redis did not give one: callers say what they do without it. */
export async function attempt<T>(command: () => Promise<T>): Promise<T | null> {
  try {
    return await command();
  } catch {
    return null;
  }
}
