import { attempt, type Redis } from './connection.ts';

/** What a worker says of itself with every heartbeat. */
export interface Heartbeat {
  workerId: string;
  host: string;
  pid: number;
  version: string;
  slots: number;
  busy: number;
  isQuiet: boolean;
}

/** A run under way, as the running state shows it. */
export interface RunningRun {
  runId: number;
  jobId: number;
  scheduledFor: string | null;
}

/** Heartbeats with a life of their own, and beside each the runs that its worker has under way. */
export interface WorkerRegistry {
  /** Says that the worker is alive for the time given. False where Redis did not take it. */
  beat(heartbeat: Heartbeat, running: RunningRun[], ttlMs: number): Promise<boolean>;
  remove(workerId: string): Promise<void>;
  /** All living workers; null when Redis is away. */
  list(): Promise<Heartbeat[] | null>;
  /** Null when Redis is away. */
  isAlive(workerId: string): Promise<boolean | null>;
  /** The runs under way on living workers; null when Redis is away. */
  running(): Promise<RunningRun[] | null>;
}

export function createWorkerRegistry(redis: Redis, prefix: string): WorkerRegistry {
  const beatKey = (workerId: string) => `${prefix}worker:${workerId}`;
  const runsKey = (workerId: string) => `${prefix}running:${workerId}`;
  const members = `${prefix}workers`;

  /** Redis's own clock: by that of a node which is a day ahead all others would be forgotten at once. */
  const nowMs = async () => Number((await redis.time())[0]) * 1000;

  const livingIds = async () => {
    // Members are forgotten an hour after their last beat; whether one is alive is its own key's to say.
    await redis.zremrangebyscore(members, '-inf', String((await nowMs()) - 3_600_000));
    return redis.zrange(members, '0', '-1');
  };

  return {
    async beat(heartbeat, running, ttlMs) {
      const { workerId } = heartbeat;
      const written = await attempt(async () => {
        const atMs = await nowMs();
        return redis
          .multi()
          .zadd(members, atMs, workerId)
          .set(beatKey(workerId), JSON.stringify(heartbeat), 'PX', ttlMs)
          .set(runsKey(workerId), JSON.stringify(running), 'PX', ttlMs)
          .exec();
      });
      return written !== null;
    },
    async remove(workerId) {
      await attempt(() => redis.multi().zrem(members, workerId).del(beatKey(workerId), runsKey(workerId)).exec());
    },
    list: () => attempt(async () => readAll<Heartbeat>(redis, (await livingIds()).map(beatKey))),
    async isAlive(workerId) {
      const found = await attempt(() => redis.exists(beatKey(workerId)));
      return found === null ? null : found === 1;
    },
    running: () => attempt(async () => (await readAll<RunningRun[]>(redis, (await livingIds()).map(runsKey))).flat()),
  };
}

async function readAll<T>(redis: Redis, keys: string[]): Promise<T[]> {
  if (keys.length === 0) return [];
  const values = await redis.mget(keys);
  return values.flatMap((value) => (value === null ? [] : [JSON.parse(value) as T]));
}
