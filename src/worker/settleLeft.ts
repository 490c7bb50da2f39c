import { errorCode } from '../store/database.ts';
import { recordOutcome } from '../store/recordOutcome.ts';
import { releaseLease } from '../store/releaseLease.ts';
import type { WorkerParts } from './parts.ts';
import { announce } from './record.ts';
import { announceReleased } from './release.ts';
import type { Kept } from './spool.ts';

type Parts = Pick<WorkerParts, 'db' | 'spool' | 'emit'>;

/** Records, or gives back, what processes that are gone have left on disk. Returns how many. */
export async function settleLeft(parts: Parts): Promise<number> {
  let count = 0;
  const refusals: unknown[] = [];
  for (const kept of await parts.spool.findLeft()) {
    try {
      await settle(kept, parts);
      count += 1;
    } catch (error) {
      // One that the database refuses does not keep the others from it.
      if (!isRefusal(errorCode(error))) throw error;
      refusals.push(error);
    }
  }
  const [cause] = refusals;
  if (cause) throw new AggregateError(refusals, `${refusals.length} kept outcomes were refused`, { cause });
  return count;
}

/** Not that of a session which the server has ended: this process stood still. */
const isRefusal = (code: string) => code.startsWith('ER_') && code !== 'ER_CLIENT_INTERACTION_TIMEOUT';

async function settle(kept: Kept, { db, spool, emit }: Parts): Promise<void> {
  if ('outcome' in kept) {
    announce(kept.outcome, await recordOutcome(db, kept.outcome), { emit });
    return spool.forget(kept.outcome);
  }
  announceReleased(kept.unstarted, await releaseLease(db, kept.unstarted), { emit });
  return spool.forget(kept.unstarted);
}
