import { describe, expect, test } from 'vitest';
import { retryAt } from '../../src/domain/retry.ts';
import { scheduleOf } from '../../src/domain/schedule.ts';

const NOW = new Date('2026-11-23T12:00:00Z');
const job = { maxRetries: 8, retryDelaySeconds: 60, nextRun: null };
const delayOf = (attempt: number, policy: Partial<typeof job> = {}) => {
  const at = retryAt({ ...job, maxRetries: 50, ...policy }, { outcome: 'failed', attempt }, NOW);
  return at && (at.getTime() - NOW.getTime()) / 1000;
};

describe('a retry', () => {
  test('comes after a delay that doubles up to an hour', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 50].map((attempt) => delayOf(attempt))).toEqual([
      60, 120, 240, 480, 960, 1920, 3600, 3600, 3600,
    ]);
    expect([1, 2].map((attempt) => delayOf(attempt, { retryDelaySeconds: 7200 }))).toEqual([7200, 7200]);
    expect([1, 5].map((attempt) => delayOf(attempt, { retryDelaySeconds: 0 }))).toEqual([0, 0]);
  });

  test.each([
    ['failed', true],
    ['timed_out', true],
    ['lost', true],
    ['succeeded', false],
    ['canceled', false],
  ] as const)('of a run that ended as %s: %s', (outcome, isRetried) => {
    expect(retryAt(job, { outcome, attempt: 1 }, NOW) !== null).toBe(isRetried);
  });

  test('is the last one after as many as the job allows', () => {
    expect(retryAt({ ...job, maxRetries: 2 }, { outcome: 'failed', attempt: 2 }, NOW)).not.toBeNull();
    expect(retryAt({ ...job, maxRetries: 2 }, { outcome: 'failed', attempt: 3 }, NOW)).toBeNull();
  });

  test('gives way to an occurrence that comes no later', () => {
    const retry = (nextRun: string) =>
      retryAt({ ...job, nextRun: new Date(nextRun) }, { outcome: 'failed', attempt: 1 }, NOW);
    expect(retry('2026-11-23T12:01:00Z')).toBeNull();
    expect(retry('2026-11-23T12:01:01Z')).toEqual(new Date('2026-11-23T12:01:00Z'));
  });
});

describe('bounds of a schedule', () => {
  const minutely = { cron: '* * * * *', timezone: 'UTC', startsAt: null, endsAt: null };
  const from = new Date('2026-01-01T00:00:00Z');

  test('are both included', () => {
    const bounds = { startsAt: new Date('2026-02-01T10:00:00Z'), endsAt: new Date('2026-02-01T10:01:00Z') };
    const schedule = scheduleOf({ ...minutely, ...bounds });
    expect(schedule.next(from)).toEqual(bounds.startsAt);
    expect(schedule.next(bounds.startsAt)).toEqual(bounds.endsAt);
    expect(schedule.next(bounds.endsAt)).toBeNull();
  });

  test('between two seconds begin with the next one', () => {
    const startsAt = new Date('2026-02-01T10:00:00.500Z');
    expect(scheduleOf({ ...minutely, cron: '* * * * * *', startsAt }).next(from)).toEqual(
      new Date('2026-02-01T10:00:01Z'),
    );
  });
});
