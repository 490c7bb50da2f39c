import Redlock, { ExecutionError, type Lock, ResourceLockedError } from 'redlock';
import type { Redis } from './connection.ts';

/** `held`: this node leads. `taken`: another one does. `away`: Redis did not answer; nobody can tell. */
export type LockResult = 'held' | 'taken' | 'away';

/** The leader's lock: a hint about who bothers to tick. It gives no fencing token and needs none (DESIGN, I1). */
export interface LeaderLock {
  /** Takes the lock, or extends it when it is held. */
  hold(termMs: number): Promise<LockResult>;
  release(): Promise<void>;
}

export function createLeaderLock(redis: Redis, prefix: string): LeaderLock {
  const redlock = new Redlock([redis], { retryCount: 0 });
  // Every failure also rejects its own call.
  redlock.on('error', () => {});
  let lock: Lock | undefined;
  return {
    async hold(termMs) {
      try {
        lock = lock ? await lock.extend(termMs) : await redlock.acquire([`${prefix}leader`], termMs);
        return 'held';
      } catch (error) {
        lock = undefined;
        return (await isTaken(error)) ? 'taken' : 'away';
      }
    },
    async release() {
      const held = lock;
      lock = undefined;
      await held?.release().catch(() => {});
    },
  };
}

async function isTaken(error: unknown): Promise<boolean> {
  if (!(error instanceof ExecutionError)) return false;
  const stats = await Promise.all(error.attempts);
  const against = stats.flatMap(({ votesAgainst }) => [...votesAgainst.values()]);
  return against.length > 0 && against.every((vote) => vote instanceof ResourceLockedError);
}
