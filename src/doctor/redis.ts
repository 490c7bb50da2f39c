import type { RedisConfig } from '../platform/config.ts';
import { awaitRedis, type Redis } from '../redis/connection.ts';
import { inspectRedis, type RedisState } from '../redis/inspect.ts';
import { checkClock } from './clock.ts';
import { type Finding, failure, ok, reasonOf, warning } from './finding.ts';

const PATIENCE_MS = 3000;

export interface RedisCheck {
  redis: Redis;
  config: RedisConfig;
  wallClock(): number;
}

export async function checkRedis({ redis, config, wallClock }: RedisCheck): Promise<Finding[]> {
  const where = `${config.host}:${config.port}/${config.db}`;
  const mend =
    'start it, or set REDIS_HOST, REDIS_PORT, REDIS_PASSWORD; runs go on without it, cancels and live output do not';
  if (!(await awaitRedis(redis, PATIENCE_MS))) return [failure('redis', `${where} does not answer`, mend)];
  try {
    const state = await inspectRedis(redis);
    return [
      ok('redis', `${where} answers, version ${state.version}`),
      judgeEviction(state),
      judgeMemory(state),
      await checkClock('redis clock', async () => (await inspectRedis(redis)).nowMs, wallClock),
    ];
  } catch (error) {
    return [failure('redis', `${where}: ${reasonOf(error)}`, mend)];
  }
}

/** Whatever is evicted may be a heartbeat or the leader's lock: all of BJR's keys have a time to live. */
function judgeEviction({ evictionPolicy, limitBytes }: RedisState): Finding {
  const what = 'redis eviction';
  const mend = 'maxmemory-policy noeviction, and a Redis that BJR has to itself';
  if (evictionPolicy === 'noeviction') return ok(what, evictionPolicy);
  if (limitBytes === 0) return warning(what, `${evictionPolicy}, so far without a limit of memory`, mend);
  const says = `${evictionPolicy}: heartbeats and the leader's lock can be dropped`;
  return evictionPolicy.startsWith('volatile-') ? warning(what, says, mend) : failure(what, says, mend);
}

function judgeMemory({ usedBytes, limitBytes }: RedisState): Finding {
  const what = 'redis memory';
  if (limitBytes === 0) return ok(what, 'no limit');
  const says = `${Math.round((100 * usedBytes) / limitBytes)} % of maxmemory is used`;
  return usedBytes < limitBytes * 0.9 ? ok(what, says) : warning(what, says, 'a larger maxmemory');
}
