import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callbackFor, GIVE_UP_AFTER_MS, retryDeliveryMs } from '../../src/domain/delivery.ts';

describe('the wait before the next try', () => {
  test('doubles from five seconds to an hour, and ends with the day', () => {
    const waits: number[] = [];
    let ageMs = 100;
    for (let wait = retryDeliveryMs(ageMs, 0.5); wait !== null; wait = retryDeliveryMs(ageMs, 0.5)) {
      waits.push(Math.round(wait / 1000));
      ageMs += wait;
    }
    expect(waits.slice(0, 12)).toEqual([5, 5, 10, 20, 41, 82, 163, 326, 653, 1306, 2611, 3600]);
    expect(waits.slice(11)).toEqual(Array(waits.length - 11).fill(3600));
    expect(ageMs).toBeLessThanOrEqual(GIVE_UP_AFTER_MS);
    expect(ageMs).toBeGreaterThan(GIVE_UP_AFTER_MS - 3_600_000);
  });

  test('is a quarter shorter or longer by chance, never beyond the day', () => {
    const age = fc.integer({ min: 0, max: GIVE_UP_AFTER_MS });
    fc.assert(
      fc.property(age, fc.double({ min: 0, max: 0.999, noNaN: true }), (ageMs, random) => {
        const wait = retryDeliveryMs(ageMs, random);
        const usual = Math.min(Math.max(ageMs, 5000), 3_600_000);
        if (wait === null) expect(ageMs + usual * 1.25).toBeGreaterThan(GIVE_UP_AFTER_MS);
        else {
          expect(wait).toBeGreaterThanOrEqual(usual * 0.75);
          expect(wait).toBeLessThanOrEqual(usual * 1.25);
          expect(ageMs + wait).toBeLessThanOrEqual(GIVE_UP_AFTER_MS);
        }
      }),
    );
  });
});

describe('who is told', () => {
  const job = { successCallback: 's', failureCallback: 'f', callbackPolicy: 'every' as const, toldSuccess: null };
  const told = (policy: 'every' | 'change', ends: boolean[]) => {
    let toldSuccess: boolean | null = null;
    return ends.map((isSuccess) => {
      const url = callbackFor({ ...job, callbackPolicy: policy, toldSuccess }, isSuccess);
      toldSuccess = isSuccess;
      return url;
    });
  };

  test('is by default told each end', () =>
    expect(told('every', [true, true, false, false])).toEqual(['s', 's', 'f', 'f']));
  test('is told a failure once, and the recovery once', () =>
    expect(told('change', [true, false, false, false, true, true, false])).toEqual(['', 'f', '', '', 's', '', 'f']));
  test('is told that the very first run failed', () => expect(told('change', [false])).toEqual(['f']));
  test('is nobody where no URL is given', () => expect(callbackFor({ ...job, failureCallback: '' }, false)).toBe(''));
});
