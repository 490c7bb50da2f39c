import type { Monotonic } from '../platform/clock.ts';
import type { Emit } from '../platform/events.ts';
import type { LeaderLock } from '../redis/leaderLock.ts';
import type { DatabaseLeaderLock } from '../store/leaderLock.ts';

/** Who bothers to tick. Correctness does not depend on it: two leaders, or none, double and lose nothing. */
export interface Election {
  /** Takes or extends the term. True: this node leads for now. */
  lead(): Promise<boolean>;
  /** A leader trusts itself only until most of its term is over, by its own monotonic clock. */
  isTrusted(): boolean;
  resign(): Promise<void>;
}

export interface ElectionParts {
  redisLock: LeaderLock;
  databaseLock: DatabaseLeaderLock;
  termMs: number;
  monotonic: Monotonic;
  emit: Emit;
}

export function createElection({ redisLock, databaseLock, termMs, monotonic, emit }: ElectionParts): Election {
  let by: 'redis' | 'database' | null = null;
  let trustedUntilMs = 0;

  const become = (next: typeof by) => {
    if (next && next !== by) emit({ type: 'leader_elected', by: next });
    if (!next && by) emit({ type: 'leader_resigned', reason: `another node holds the ${by} lock` });
    by = next;
  };

  return {
    async lead() {
      const askedAtMs = monotonic();
      const result = await redisLock.hold(termMs);
      if (result === 'away') become((await databaseLock.hold()) ? 'database' : null);
      else {
        databaseLock.release();
        become(result === 'held' ? 'redis' : null);
      }
      if (by) trustedUntilMs = askedAtMs + termMs * 0.8;
      return by !== null;
    },
    isTrusted: () => by !== null && monotonic() < trustedUntilMs,
    async resign() {
      by = null;
      databaseLock.release();
      await redisLock.release();
    },
  };
}

/** Every node leads: for those who run a single one, and for the tests which show that election is not what protects. */
export const everyoneLeads: Election = {
  lead: () => Promise.resolve(true),
  isTrusted: () => true,
  resign: () => Promise.resolve(),
};
