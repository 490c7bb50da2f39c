import { describe, expect, test } from 'vitest';
import { heartbeatMs, isLost, lostGraceMs, type Silence, silenceMaxMs } from '../../src/domain/lease.ts';

const LEASE = 30_000;
const gone: Silence = { missedForMs: LEASE / 2, redisAwayForMs: null, databaseUpForMs: LEASE };

describe('an expired lease', () => {
  test.each<[string, Partial<Silence>, boolean]>([
    ['whose heartbeat has been missed for half a lease is lost', {}, true],
    ['whose heartbeat was there a moment ago is not', { missedForMs: LEASE / 2 - 1 }, false],
    ['whose heartbeat is there is not', { missedForMs: null }, false],
    ['is not lost before live workers could renew after an outage', { databaseUpForMs: LEASE - 1 }, false],
    ['is lost without Redis when it has been away for a lease', { missedForMs: null, redisAwayForMs: LEASE }, true],
    ['is not lost just after Redis has gone', { missedForMs: LEASE, redisAwayForMs: LEASE - 1 }, false],
  ])('%s', (_, silence, expected) => {
    expect(isLost({ ...gone, ...silence }, LEASE)).toBe(expected);
  });
});

describe.each([0, 1000, 5000, 10_000, 600_000])('with %i ms from TERM to KILL', (killGraceMs) => {
  test.each([3000, LEASE, 3_600_000])('a command is over before its lease of %i ms can be taken over', (leaseMs) => {
    const times = { leaseMs, killGraceMs };
    const overAt = silenceMaxMs(times) + lostGraceMs(times);
    const sixth = leaseMs / 6;
    // From the last contact: by the database its lease, by Redis the heartbeat's life and what it must be missed for.
    expect(overAt).toBeLessThanOrEqual(leaseMs - sixth + 1e-6);
    expect(overAt).toBeLessThanOrEqual(heartbeatMs(leaseMs) + leaseMs / 2 - sixth + 1e-6);
    // Renewals come every third of the lease: one late renewal ends nothing.
    expect(silenceMaxMs(times)).toBeGreaterThanOrEqual(leaseMs / 2 - 1e-6);
  });
});
