import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  MISFIRE_POLICIES,
  MISFIRE_STEP_MAX,
  type MisfirePolicy,
  settle,
  settleSteps,
} from '../../src/domain/misfire.ts';
import { parseSchedule } from '../../src/domain/schedule.ts';

const minutely = parseSchedule('* * * * *', 'UTC');
const secondly = parseSchedule('* * * * * *', 'UTC');
const at = (text: string) => new Date(`2026-01-01T${text}Z`);
const overdue = (policy: MisfirePolicy, catchUpMax = 50) => ({
  schedule: minutely,
  policy,
  catchUpMax,
  nextRun: at('00:01:00'),
  now: at('03:00:30'),
  graceMs: 15_000,
});

describe('a minutely job after three hours down', () => {
  test('skip: nothing runs late, and it goes on with the next occurrence', () => {
    expect(settle(overdue('skip'))).toEqual({
      nextRun: at('03:01:00'),
      misfire: { firstAt: at('00:01:00'), lastAt: at('03:00:00'), count: 180 },
      isComplete: true,
    });
  });

  test('fire_once: the latest runs', () => {
    expect(settle(overdue('fire_once'))).toEqual({
      nextRun: at('03:00:00'),
      misfire: { firstAt: at('00:01:00'), lastAt: at('02:59:00'), count: 179 },
      isComplete: true,
    });
  });

  test('catch_up: as many as its cap run, 130 are missed', () => {
    expect(settle(overdue('catch_up'))).toEqual({
      nextRun: at('02:11:00'),
      misfire: { firstAt: at('00:01:00'), lastAt: at('02:10:00'), count: 130 },
      isComplete: true,
    });
  });
});

test('with skip, what is no later than the grace runs', () => {
  const on = { ...overdue('skip'), nextRun: at('03:00:00'), now: at('03:00:14') };
  expect(settle(on)).toEqual({ nextRun: at('03:00:00'), misfire: null, isComplete: true });
});

test('what has not come yet is left alone', () => {
  const early = { ...overdue('fire_once'), nextRun: at('04:00:00') };
  expect(settle(early)).toEqual({ nextRun: at('04:00:00'), misfire: null, isComplete: true });
});

test('a long gap is worked off in bounded steps, and joined where several are taken at once', () => {
  const gap = { ...overdue('fire_once'), schedule: secondly, nextRun: at('00:00:01'), now: at('01:00:00') };
  const step = settle(gap);
  expect(step).toMatchObject({ isComplete: false, misfire: { count: MISFIRE_STEP_MAX } });
  expect(settleSteps(gap, 2)).toMatchObject({ isComplete: false, misfire: { count: 2 * MISFIRE_STEP_MAX } });
  expect(settleSteps(gap, 10)).toEqual({
    nextRun: at('01:00:00'),
    misfire: { firstAt: at('00:00:01'), lastAt: at('00:59:59'), count: 3599 },
    isComplete: true,
  });
});

test('every occurrence that passed is either a misfire, counted once, or still to run', () => {
  const gap = fc.record({
    policy: fc.constantFrom(...MISFIRE_POLICIES),
    catchUpMax: fc.integer({ min: 1, max: 80 }),
    cron: fc.constantFrom('* * * * * *', '*/7 * * * * *', '* * * * *'),
    lateSeconds: fc.integer({ min: 0, max: 3000 }),
    graceMs: fc.integer({ min: 0, max: 60_000 }),
  });
  fc.assert(
    fc.property(gap, ({ policy, catchUpMax, cron, lateSeconds, graceMs }) => {
      const schedule = parseSchedule(cron, 'UTC');
      const nextRun = at('00:00:00');
      const now = new Date(nextRun.getTime() + lateSeconds * 1000);
      const settled = settleSteps({ schedule, policy, catchUpMax, nextRun, now, graceMs }, 10);
      let passed = 0;
      let kept = 0;
      for (let each: Date | null = nextRun; each && each <= now; each = schedule.next(each)) {
        passed += 1;
        if (settled.nextRun && each >= settled.nextRun) kept += 1;
      }
      expect((settled.misfire?.count ?? 0) + kept).toBe(passed);
      if (policy === 'fire_once') expect(kept).toBe(1);
      if (policy === 'catch_up') expect(kept).toBe(Math.min(passed, catchUpMax));
    }),
  );
});
