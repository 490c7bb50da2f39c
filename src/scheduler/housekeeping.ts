import { jitter } from '../platform/service.ts';
import { pruneAuditEntries } from '../store/auditEntries.ts';
import type { Database } from '../store/database.ts';
import { pruneDeliveries } from '../store/deliveries.ts';
import { pruneKeys } from '../store/idempotencyKeys.ts';
import { pruneRuns } from '../store/pruneRuns.ts';
import { purgeDeleted } from '../store/purgeDeleted.ts';
import { refreshDisabled } from '../store/refreshDisabled.ts';
import { countedBefore, rollUp } from '../store/rollUp.ts';
import { sealRuns } from '../store/sealRuns.ts';
import { pruneStatistics } from '../store/statistics.ts';
import type { Election } from './election.ts';

/**
 * What the leader does besides: statistics, and removing what nobody wants to keep, a bounded amount a pass. A service of
 * its own, so that it delays no mark and no reaping; two leaders at once do no harm.
 */
export function createHousekeeping({
  db,
  election,
  tickMs,
  auditKeepDays,
  deliveryKeepDays,
}: {
  db: Database;
  election: Pick<Election, 'isTrusted'>;
  tickMs: number;
  /** 0: for ever. */
  auditKeepDays: number;
  /** 0: for ever. */
  deliveryKeepDays: number;
}): () => Promise<number> {
  // Where retention, and sealing, go on. Lost with the process: then it begins again, and finds less to do.
  let afterJobId = 0;
  let sealedJobId = 0;
  return async () => {
    if (election.isTrusted()) {
      await rollUp(db);
      await refreshDisabled(db);
      const counted = await countedBefore(db);
      if (counted) {
        await purgeDeleted(db, counted);
        ({ afterJobId } = await pruneRuns(db, { afterJobId, startedBefore: counted }));
      }
      ({ afterJobId: sealedJobId } = await sealRuns(db, { afterJobId: sealedJobId }));
      await pruneKeys(db);
      await pruneStatistics(db);
      await pruneAuditEntries(db, auditKeepDays);
      await pruneDeliveries(db, deliveryKeepDays);
    }
    return jitter(tickMs);
  };
}
