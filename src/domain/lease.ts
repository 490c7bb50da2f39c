/**
 * When a worker that hears from nobody ends its commands, and when the leader may call their runs lost: the first always
 * before the second, whichever of database and Redis is away, and with a sixth of the lease between them.
 */

/** The longest time from TERM to KILL where a lease ends: what is left of it must do. */
export const lostGraceMs = ({ leaseMs, killGraceMs }: LeaseTimes) => Math.min(killGraceMs, leaseMs / 3);

export interface LeaseTimes {
  leaseMs: number;
  killGraceMs: number;
}

/** From the last contact with database or Redis to TERM: all is over at five sixths of the lease. */
export const silenceMaxMs = (times: LeaseTimes) => (times.leaseMs * 5) / 6 - lostGraceMs(times);

/** A heartbeat lives for half a lease after it was sent, and must then have been missed for another half. */
export const heartbeatMs = (leaseMs: number) => leaseMs / 2;

/** What the leader knows of an expired lease; all by its own monotonic clock, in milliseconds. */
export interface Silence {
  /** For how long Redis has had no heartbeat of the worker; null: it has one, or is away. */
  missedForMs: number | null;
  /** For how long Redis has been away; null: it answers. */
  redisAwayForMs: number | null;
  /** For how long the database has answered without a break: after an outage its live workers renew first. */
  databaseUpForMs: number;
}

/**
 * Whether the run of an expired lease is lost. Where Redis is away nobody can tell a dead worker from a live one that has
 * lost the database: a whole lease has to pass in which the latter ends its commands.
 */
export function isLost({ missedForMs, redisAwayForMs, databaseUpForMs }: Silence, leaseMs: number): boolean {
  if (databaseUpForMs < leaseMs) return false;
  if (redisAwayForMs !== null) return redisAwayForMs >= leaseMs;
  return missedForMs !== null && missedForMs >= leaseMs / 2;
}
