import { attempt, type Redis } from './connection.ts';

/** Counts of what may be done only so often in a while; kept by the process itself while Redis is away. */
export interface Attempts {
  /** One more. Returns how many there were in the span that the first of them began, and when it ends. */
  add(key: string, spanMs: number): Promise<{ count: number; endsInMs: number }>;
  /** Takes one back. */
  takeBack(key: string): Promise<void>;
}

export function createAttempts(redis: Redis, prefix: string): Attempts {
  const local = createLocalAttempts();
  const keyOf = (key: string) => `${prefix}attempts:${key}`;
  return {
    async add(key, spanMs) {
      const counted = await attempt(() =>
        redis.multi().set(keyOf(key), 0, 'PX', spanMs, 'NX').incr(keyOf(key)).pttl(keyOf(key)).exec(),
      );
      const [count, endsInMs] = [Number(counted?.[1]?.[1]), Number(counted?.[2]?.[1])];
      return Number.isInteger(count) && endsInMs > 0 ? { count, endsInMs } : local.add(key, spanMs);
    },
    async takeBack(key) {
      local.takeBack(key);
      await attempt(() => redis.eval(TAKE_BACK, 1, keyOf(key)));
    },
  };
}

/** One that has expired meanwhile must not come back without an end. */
const TAKE_BACK = "return redis.call('EXISTS', KEYS[1]) == 1 and redis.call('DECR', KEYS[1])";
const KEYS_MAX = 10_000;

function createLocalAttempts() {
  const counts = new Map<string, { count: number; endsAtMs: number }>();
  return {
    add(key: string, spanMs: number) {
      const known = counts.get(key);
      const isCurrent = known && known.endsAtMs > performance.now();
      const next = isCurrent
        ? { ...known, count: known.count + 1 }
        : { count: 1, endsAtMs: performance.now() + spanMs };
      const [oldest] = counts.keys();
      if (!known && counts.size >= KEYS_MAX && oldest !== undefined) counts.delete(oldest);
      counts.set(key, next);
      return { count: next.count, endsInMs: next.endsAtMs - performance.now() };
    },
    takeBack(key: string) {
      const known = counts.get(key);
      if (known) counts.set(key, { ...known, count: Math.max(known.count - 1, 0) });
    },
  };
}
