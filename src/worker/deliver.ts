import type { DatabaseClock } from '../platform/clock.ts';
import type { Emit } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import { createService, jitter, type Service } from '../platform/service.ts';
import { callbackSecretOf } from '../store/callbackSecret.ts';
import type { Database } from '../store/database.ts';
import {
  type ClaimedDelivery,
  claimDeliveries,
  type DeliveryContent,
  type DeliveryTry,
  findDeliveryContent,
  msToNextDelivery,
  recordTry,
} from '../store/deliveries.ts';
import type { CallbackSender } from './sendCallback.ts';

export interface DeliverParts {
  db: Database;
  sender: CallbackSender;
  clock: DatabaseClock;
  monotonic: () => number;
  emit: Emit;
  log: Log;
}

/** At a time in one worker: a callback holds the output of its run. */
const DELIVERIES_MAX = 8;
/** At a time for one user: receivers that hang hold up nobody else's. */
const PER_USER_MAX = 2;
/** Longer than any try takes: a delivery whose worker has died is taken up by another after it. */
const HOLD_MS = 60_000;
/** Those that another worker's runs have left are found by looking. */
const LOOK_MS = 5000;
/** Due, and another worker is about to take it. */
const LOCKED_MS = 100;

/** Makes the deliveries that are due, beside the runs and in their way nowhere. */
export function createDeliverer(parts: DeliverParts): Service {
  const underWay = new Map<ClaimedDelivery, Promise<void>>();

  const busyUsers = () => {
    const counts = new Map<number, number>();
    for (const { userId } of underWay.keys()) counts.set(userId, (counts.get(userId) ?? 0) + 1);
    return [...counts].filter(([, count]) => count >= PER_USER_MAX).map(([userId]) => userId);
  };

  const launch = (delivery: ClaimedDelivery) => {
    const work = deliver(delivery, parts)
      .catch((error: unknown) => {
        // It is due again after HOLD_MS.
        parts.log.error({ err: error, deliveryId: delivery.id }, 'A delivery could not be recorded');
      })
      .finally(() => {
        underWay.delete(delivery);
        service.wake();
      });
    underWay.set(delivery, work);
  };

  const runOnce = async () => {
    const free = DELIVERIES_MAX - underWay.size;
    if (free === 0) return LOOK_MS;
    // No more than a user's share at once: the next pass, which follows at once, knows who is busy.
    const limit = Math.min(free, PER_USER_MAX);
    const exceptUsers = busyUsers();
    const nextMs = exceptUsers.length > 0 ? 0 : ((await msToNextDelivery(parts.db)) ?? LOOK_MS);
    if (nextMs > 0) return Math.min(nextMs, jitter(LOOK_MS));
    const claimed = await claimDeliveries(parts.db, { limit, exceptUsers, holdMs: HOLD_MS });
    for (const delivery of claimed) launch(delivery);
    if (claimed.length > 0) return 0;
    return exceptUsers.length > 0 ? Math.min(LOOK_MS, jitter(LOOK_MS)) : jitter(LOCKED_MS);
  };

  const service = createService({ name: 'deliver', log: parts.log, runOnce });
  return {
    ...service,
    async stop() {
      await service.stop();
      await Promise.all(underWay.values());
      await parts.sender.close();
    },
  };
}

async function deliver(delivery: ClaimedDelivery, parts: DeliverParts): Promise<void> {
  const { db, sender, clock, monotonic, emit } = parts;
  const { id: deliveryId, jobId, runId } = delivery;
  const content = await findDeliveryContent(db, delivery);
  const startedMs = monotonic();
  const answer: Omit<DeliveryTry, 'startedAt' | 'durationMs'> = content
    ? await sender.send({
        url: delivery.url,
        body: JSON.stringify(toBody(delivery, content)),
        deliveryId,
        secret: await callbackSecretOf(db, delivery.userId),
        sentAt: clock.at(startedMs),
      })
    : { status: null, error: 'The run is not kept any more', isFinal: true };
  const durationMs = Math.round(monotonic() - startedMs);
  const state = await recordTry(db, delivery, { ...answer, startedAt: clock.at(startedMs), durationMs });
  if (state === 'delivered') emit({ type: 'callback_delivered', jobId, runId, deliveryId });
  else if (state) emit({ type: 'callback_failed', jobId, runId, deliveryId, isGivenUp: state === 'failed' });
}

/** Dates are UTC, as in an answer of the API. */
function toBody({ id }: ClaimedDelivery, { run, jobName, stdout, stderr }: DeliveryContent) {
  return {
    job_id: run.jobId,
    success: run.outcome === 'succeeded',
    return_code: run.returnCode,
    error_message: run.errorMessage ?? '',
    stdout: stdout ?? '',
    stderr: stderr ?? '',
    start_time: run.startedAt.toISOString(),
    end_time: run.finishedAt?.toISOString() ?? null,
    delivery_id: id,
    run_id: run.id,
    job_name: jobName,
    outcome: run.outcome,
    attempt: run.attempt,
    scheduled_start_time: run.scheduledFor?.toISOString() ?? null,
  };
}
