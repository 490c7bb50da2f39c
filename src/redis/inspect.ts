import type { Redis } from './connection.ts';

export interface RedisState {
  version: string;
  /** What it does when its memory is used up. */
  evictionPolicy: string;
  usedBytes: number;
  /** 0: no limit. */
  limitBytes: number;
  nowMs: number;
}

/** From INFO and TIME, which hosted servers allow where they refuse CONFIG. @throws where Redis does not answer */
export async function inspectRedis(redis: Redis): Promise<RedisState> {
  const [info, [seconds, micros]] = await Promise.all([redis.info(), redis.time()]);
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? '';
  return {
    version: field('valkey_version') || field('redis_version'),
    evictionPolicy: field('maxmemory_policy'),
    usedBytes: Number(field('used_memory')),
    limitBytes: Number(field('maxmemory')),
    nowMs: Number(seconds) * 1000 + Number(micros) / 1000,
  };
}
