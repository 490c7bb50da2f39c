import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLocalDate } from '../../src/domain/localDate.ts';
import { foldName } from '../../src/domain/name.ts';
import { outcomeOf } from '../../src/domain/outcome.ts';
import { HORIZON_MS, plan } from '../../src/domain/plan.ts';
import { addRun, type RunningSums, summarize } from '../../src/domain/statistics.ts';
import { formatInZone, resolveTimezone } from '../../src/domain/timezone.ts';
import { RAILS_TIMEZONES } from '../../src/domain/timezoneNames.ts';
import { createDatabaseClock } from '../../src/platform/clock.ts';

describe('time zones', () => {
  test.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    ['europe/berlin', 'Europe/Berlin'],
    ['Eastern Time (US & Canada)', 'America/New_York'],
    ['Samoa', 'Pacific/Apia'],
    ['US/Eastern', 'US/Eastern'],
    ['Etc/UTC', 'UTC'],
    ['+05:30', undefined],
    ['', undefined],
    ['Mars/Olympus', undefined],
    ['constructor', undefined],
    ['__proto__', undefined],
    ['x'.repeat(100), undefined],
  ])('%s is %s', (name, expected) => {
    expect(resolveTimezone(name)).toBe(expected);
  });

  test('every display name is a zone', () => {
    for (const name of Object.keys(RAILS_TIMEZONES))
      expect(() => new Intl.DateTimeFormat('en', { timeZone: resolveTimezone(name) })).not.toThrow();
    expect(Object.keys(RAILS_TIMEZONES).length).toBeGreaterThan(140);
  });

  test('dates are written in a zone with their offset, UTC with Z', () => {
    const at = new Date('2026-11-24T15:00:00.007Z');
    expect(formatInZone(at, 'UTC')).toBe('2026-11-24T15:00:00.007Z');
    expect(formatInZone(at, 'America/New_York')).toBe('2026-11-24T10:00:00.007-05:00');
    expect(formatInZone(at, 'Asia/Kathmandu')).toBe('2026-11-24T20:45:00.007+05:45');
  });
});

test.each([
  ['2026-11-24', 'UTC', '2026-11-24T00:00:00.000Z'],
  ['2026-11-24T10:00', 'America/New_York', '2026-11-24T15:00:00.000Z'],
  ['2026-11-24 10:00:01.5', 'UTC', '2026-11-24T10:00:01.500Z'],
  ['2026-11-24T10:00:00+0530', 'America/New_York', '2026-11-24T04:30:00.000Z'],
  ['2026-03-29T02:30', 'Europe/Berlin', '2026-03-29T01:30:00.000Z'],
  ['2026-10-25T02:30', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
  ['2026-02-30', 'UTC', undefined],
  ['2026-11-24T25:00', 'UTC', undefined],
  ['tomorrow-ish', 'UTC', undefined],
])('the date %s in %s is %s', (text, zone, expected) => {
  expect(parseLocalDate(text, zone)?.toISOString()).toBe(expected);
});

test('names are equal without regard to case and form, and not to accents', () => {
  expect(foldName(' Cafe\u0301 ')).toBe(foldName('CAFÉ'));
  expect(foldName('Café')).not.toBe(foldName('Cafe'));
});

test('running sums equal a recomputation from all runs: average, extremes and the least-squares slope', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 10_000_000 }), { minLength: 1, maxLength: 200 }), (values) => {
      const zero: RunningSums = { count: 0, sumMs: 0, minMs: 0, maxMs: 0, weightedMs: 0 };
      const { average, min, max, trend } = summarize(values.reduce(addRun, zero));
      const seconds = values.map((value) => value / 1000);
      const n = seconds.length;
      const meanX = (n + 1) / 2;
      const meanY = seconds.reduce((sum, y) => sum + y, 0) / n;
      const covariance = seconds.reduce((sum, y, index) => sum + (index + 1 - meanX) * (y - meanY), 0);
      const variance = seconds.reduce((sum, _, index) => sum + (index + 1 - meanX) ** 2, 0);
      expect(average).toBeCloseTo(meanY, 6);
      expect({ min, max }).toEqual({ min: Math.min(...seconds), max: Math.max(...seconds) });
      expect(trend).toBeCloseTo(n === 1 ? 0 : covariance / variance, 6);
    }),
  );
});

test('a job is due inside the horizon, idle beyond it, and idle when it is disabled', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  const nextRun = new Date(now.getTime() + HORIZON_MS);
  expect(plan({ enabled: true, nextRun }, now)).toEqual({ state: 'due', dueAt: nextRun });
  expect(plan({ enabled: true, nextRun: new Date(nextRun.getTime() + 1) }, now)).toEqual({
    state: 'idle',
    dueAt: null,
  });
  expect(plan({ enabled: false, nextRun }, now)).toEqual({ state: 'idle', dueAt: null });
  expect(plan({ enabled: true, nextRun: null }, now)).toEqual({ state: 'idle', dueAt: null });
});

test.each([
  [{ exitCode: 0, killReason: null }, 'succeeded'],
  [{ exitCode: 1, killReason: null }, 'failed'],
  [{ exitCode: 143, killReason: 'canceled' }, 'canceled'],
  [{ exitCode: 0, killReason: 'timed_out' }, 'timed_out'],
  [{ exitCode: 137, killReason: 'lease_lost' }, 'lost'],
  [{ exitCode: 137, killReason: 'drained' }, 'failed'],
] as const)('%j is %s', (exit, outcome) => {
  expect(outcomeOf(exit)).toBe(outcome);
});

describe("the database's clock on a node", () => {
  test('goes on with the monotonic clock, whatever the node thinks that the time is', () => {
    let monotonic = 1000;
    const clock = createDatabaseClock(() => monotonic);
    clock.observe(Date.parse('2030-01-01T00:00:00Z'), 1000);
    monotonic += 2500;
    expect(clock.now()).toEqual(new Date('2030-01-01T00:00:02.500Z'));
    expect(clock.at(1000)).toEqual(new Date('2030-01-01T00:00:00Z'));
  });

  test('keeps the reading with the least doubt, and follows when the database’s own clock jumps', () => {
    let monotonic = 0;
    const clock = createDatabaseClock(() => monotonic);
    const observe = (databaseMs: number, tookMs: number) => {
      const askedAt = monotonic;
      monotonic += tookMs;
      clock.observe(databaseMs, askedAt);
    };
    observe(1_000_000, 2);
    const offset = clock.now().getTime() - monotonic;
    observe(1_000_000 + monotonic + 90, 200);
    expect(clock.now().getTime() - monotonic).toBe(offset);
    observe(5_000_000, 2);
    expect(clock.now().getTime()).toBeCloseTo(5_000_001, -1);
  });

  test('has reached an instant, with all doubt, when a reading says so', () => {
    let monotonic = 0;
    const clock = createDatabaseClock(() => monotonic);
    monotonic = 10;
    clock.observe(1_000_000, 0);
    // It was asked at 0 and answered by 10: 5 ms are the doubt.
    expect(clock.readingFrom(new Date(1_000_100))).toBe(5 + 100 + 10);
    expect(clock.at(clock.readingFrom(new Date(1_000_100))).getTime()).toBe(1_000_110);
  });

  test('is not guessed before it was read', () => {
    expect(() => createDatabaseClock().now()).toThrow('has not been asked');
  });
});
