/** A node's own clock measures durations only: monotonic, in milliseconds with fractions. */
export type Monotonic = () => number;
export const monotonicMs: Monotonic = () => Number(process.hrtime.bigint()) / 1e6;

/**
 * The database's clock, as read last, carried on by the monotonic clock: a node whose own time is an hour off changes
 * nothing. `observe` is called with every answer that brings the database's time.
 */
export interface DatabaseClock {
  /** `databaseNowMs`: milliseconds of the Unix epoch, with fractions. */
  observe(databaseNowMs: number, askedAtMs: number): void;
  /** The database's time now, as an estimate. */
  now(): Date;
  /** The database's time at a reading of the monotonic clock. */
  at(readingMs: number): Date;
  /** The reading of the monotonic clock from which on the database's clock has reached an instant, without doubt. */
  readingFrom(instant: Date): number;
}

/**
 * An answer's time lies between asking and hearing; the offset with the least doubt of the recent readings is kept, and
 * newer ones replace it as drift makes it doubtful (1 ms of doubt a minute).
 */
export function createDatabaseClock(monotonic: Monotonic = monotonicMs): DatabaseClock {
  let offsetMs: number | undefined;
  let doubtMs = Number.POSITIVE_INFINITY;
  let observedAtMs = 0;
  const at = (readingMs: number) => {
    if (offsetMs === undefined) throw new Error('The database has not been asked for its time yet');
    return new Date(readingMs + offsetMs);
  };
  return {
    observe(databaseNowMs, askedAtMs) {
      const heardAtMs = monotonic();
      const newDoubtMs = (heardAtMs - askedAtMs) / 2;
      const agedDoubtMs = doubtMs + (heardAtMs - observedAtMs) / 60_000;
      const measuredMs = databaseNowMs - (askedAtMs + heardAtMs) / 2;
      const hasJumped = offsetMs !== undefined && Math.abs(measuredMs - offsetMs) > newDoubtMs + agedDoubtMs + 50;
      if (newDoubtMs > agedDoubtMs && !hasJumped) return;
      offsetMs = measuredMs;
      doubtMs = newDoubtMs;
      observedAtMs = heardAtMs;
    },
    now: () => at(monotonic()),
    at,
    // Once more, as what is recorded goes by a reading that may come later.
    readingFrom: (instant) => instant.getTime() - (offsetMs ?? 0) + 2 * doubtMs,
  };
}
