/** Callbacks: whom a run's end is told, and when what could not be delivered is tried again. */

/** `pending`: to be tried, or tried again. */
export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** Each run's end is told, or only one that differs from what was told last. */
export const CALLBACK_POLICIES = ['every', 'change'] as const;
export type CallbackPolicy = (typeof CALLBACK_POLICIES)[number];

export interface CallbackSettings {
  successCallback: string;
  failureCallback: string;
  callbackPolicy: CallbackPolicy;
  /** What was told last; null before the first run. */
  toldSuccess: boolean | null;
}

/**
 * The URL that is told how a run ended; '' for nobody. With `change` a job that keeps failing tells it once, and its first
 * success after that; a first run that succeeds is no news.
 */
export function callbackFor(job: CallbackSettings, isSuccess: boolean): string {
  const isNews = isSuccess !== (job.toldSuccess ?? true);
  if (job.callbackPolicy === 'change' && !isNews) return '';
  return isSuccess ? job.successCallback : job.failureCallback;
}

const RETRY_MS_MIN = 5000;
const RETRY_MS_MAX = 3_600_000;
/** A delivery is given up when it could not be made for so long. */
export const GIVE_UP_AFTER_MS = 86_400_000;

/**
 * The wait before the next try of a delivery that has been due for `ageMs`: as long again, so that the intervals double (5 s,
 * 10, 20 … an hour), within a quarter, so that what failed together does not come back together. Null: it is given up.
 * `random` is in [0, 1).
 */
export function retryDeliveryMs(ageMs: number, random: number): number | null {
  const waitMs = Math.min(Math.max(ageMs, RETRY_MS_MIN), RETRY_MS_MAX) * (0.75 + random / 2);
  return ageMs + waitMs > GIVE_UP_AFTER_MS ? null : waitMs;
}
