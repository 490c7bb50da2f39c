import type { Monotonic } from '../platform/clock.ts';

/** Since when the database has answered this process without a break, by the monotonic clock. */
export interface DatabaseContact {
  answered(): void;
  failed(): void;
  /** Milliseconds; 0 while it does not answer. */
  upForMs(): number;
}

/** `gapMs`: two answers further apart than this have an outage between them, an unanswered statement that hung, say. */
export function createDatabaseContact(gapMs: number, monotonic: Monotonic): DatabaseContact {
  let sinceMs: number | null = null;
  let lastMs = 0;
  return {
    answered() {
      const nowMs = monotonic();
      if (sinceMs === null || nowMs - lastMs > gapMs) sinceMs = nowMs;
      lastMs = nowMs;
    },
    failed() {
      sinceMs = null;
    },
    upForMs: () => (sinceMs === null || monotonic() - lastMs > gapMs ? 0 : monotonic() - sinceMs),
  };
}
