import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { InvalidCron, InvalidTimezone, parseSchedule } from '../../src/domain/schedule.ts';
import { formatInZone } from '../../src/domain/timezone.ts';

const occurrences = (cron: string, zone: string, after: string, count: number): string[] => {
  const schedule = parseSchedule(cron, zone);
  const found: string[] = [];
  for (let at = schedule.next(new Date(after)); at && found.length < count; at = schedule.next(at)) {
    found.push(formatInZone(at, zone).replace(':00.000', ''));
  }
  return found;
};

describe('around a change of the clock', () => {
  test.each([
    // Berlin, 29 March 2026: 02:00 becomes 03:00.
    [
      '30 2 * * *',
      'Europe/Berlin',
      '2026-03-27T12:00Z',
      ['2026-03-28T02:30+01:00', '2026-03-29T03:00+02:00', '2026-03-30T02:30+02:00'],
    ],
    ['0,30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['2026-03-29T03:00+02:00', '2026-03-30T02:00+02:00']],
    ['*/15 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['2026-03-29T03:00+02:00', '2026-03-30T02:00+02:00']],
    ['30 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['2026-03-29T03:00+02:00', '2026-03-29T03:30+02:00']],
    ['0 2,3 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['2026-03-29T03:00+02:00', '2026-03-30T02:00+02:00']],
    [
      '*/30 * * * *',
      'Europe/Berlin',
      '2026-03-29T00:29Z',
      ['2026-03-29T01:30+01:00', '2026-03-29T03:00+02:00', '2026-03-29T03:30+02:00'],
    ],
    ['0 */2 * * *', 'Europe/Berlin', '2026-03-28T22:30Z', ['2026-03-29T00:00+01:00', '2026-03-29T04:00+02:00']],
    // Berlin, 25 October 2026: 03:00 becomes 02:00.
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', ['2026-10-25T02:30+02:00', '2026-10-26T02:30+01:00']],
    [
      '30 * * * *',
      'Europe/Berlin',
      '2026-10-25T00:00Z',
      ['2026-10-25T02:30+02:00', '2026-10-25T02:30+01:00', '2026-10-25T03:30+01:00'],
    ],
    // … asked during its second pass.
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T01:15Z', ['2026-10-26T02:30+01:00']],
    // New York, 8 March and 1 November 2026.
    ['30 2 * * *', 'America/New_York', '2026-03-07T12:00Z', ['2026-03-08T03:00-04:00', '2026-03-09T02:30-04:00']],
    ['30 1 * * *', 'America/New_York', '2026-10-31T12:00Z', ['2026-11-01T01:30-04:00', '2026-11-02T01:30-05:00']],
    // Santiago, 6 September 2026: midnight becomes 01:00; 5 April: midnight becomes 23:00 of the day before.
    ['0 0 * * *', 'America/Santiago', '2026-09-05T12:00Z', ['2026-09-06T01:00-03:00', '2026-09-07T00:00-03:00']],
    ['30 23 * * *', 'America/Santiago', '2026-04-04T12:00Z', ['2026-04-04T23:30-03:00', '2026-04-05T23:30-04:00']],
    ['0 0 * * *', 'America/Santiago', '2026-04-04T12:00Z', ['2026-04-05T00:00-04:00', '2026-04-06T00:00-04:00']],
    // Lord Howe moves by half an hour: 4 October 2026, 02:00 becomes 02:30; 5 April, 02:00 becomes 01:30.
    ['15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00Z', ['2026-10-04T02:30+11:00', '2026-10-05T02:15+11:00']],
    ['45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T00:00Z', ['2026-04-05T01:45+11:00', '2026-04-06T01:45+10:30']],
    [
      '*/15 * * * *',
      'Australia/Lord_Howe',
      '2026-04-04T14:40Z',
      ['2026-04-05T01:45+11:00', '2026-04-05T01:30+10:30', '2026-04-05T01:45+10:30'],
    ],
    // Apia had no 30 December 2011.
    [
      '0 12 * * *',
      'Pacific/Apia',
      '2011-12-29T12:00Z',
      ['2011-12-29T12:00-10:00', '2011-12-31T00:00+14:00', '2011-12-31T12:00+14:00'],
    ],
    ['0 * * * *', 'Pacific/Apia', '2011-12-30T08:30Z', ['2011-12-29T23:00-10:00', '2011-12-31T00:00+14:00']],
    // Kolkata does not change its clock, and is half an hour off.
    ['0 9 * * *', 'Asia/Kolkata', '2026-03-28T12:00Z', ['2026-03-29T09:00+05:30', '2026-03-30T09:00+05:30']],
  ])('%s in %s after %s', (cron, zone, after, expected) => {
    expect(occurrences(cron, zone, after, expected.length)).toEqual(expected);
  });
});

describe('an expression', () => {
  test.each([
    ['0 9 29 2 *', '2095-01-01T00:00Z', ['2096-02-29T09:00Z', '2104-02-29T09:00Z']],
    ['0 0 L * *', '2026-01-31T12:00Z', ['2026-02-28T00:00Z', '2026-03-31T00:00Z']],
    ['0 0 * * MON#1', '2026-01-01T00:00Z', ['2026-01-05T00:00Z', '2026-02-02T00:00Z']],
    ['0 0 * * FRI#L', '2026-01-01T00:00Z', ['2026-01-30T00:00Z', '2026-02-27T00:00Z']],
    ['0 0 13 * FRI', '2026-02-01T00:00Z', ['2026-02-06T00:00Z', '2026-02-13T00:00Z', '2026-02-20T00:00Z']],
    ['0 0 * * 7', '2026-01-01T00:00Z', ['2026-01-04T00:00Z', '2026-01-11T00:00Z']],
    ['0 0 1 jan,JUL *', '2026-01-01T00:00Z', ['2026-07-01T00:00Z', '2027-01-01T00:00Z']],
    ['  5   4 * *   * ', '2026-01-01T00:00Z', ['2026-01-01T04:05Z']],
    ['@daily', '2026-01-01T00:00Z', ['2026-01-02T00:00Z']],
    ['30 0 12 * * *', '2026-01-01T00:00Z', ['2026-01-01T12:00:30.000Z']],
  ])('%s after %s', (cron, after, expected) => {
    expect(occurrences(cron, 'UTC', after, expected.length)).toEqual(expected);
  });

  test.each([
    ...[
      '',
      ' ',
      '* * * *',
      '* * * * * * *',
      '60 * * * *',
      '* 24 * * *',
      '* * 0 * *',
      '* * 32 * *',
      '* * * 13 *',
      '* * * * 8',
    ],
    ...[
      '*/0 * * * *',
      '*/70 * * * *',
      '5-1 * * * *',
      '1, * * * *',
      ',1 * * * *',
      '1,,2 * * * *',
      '1.5 * * * *',
      '-1 * * * *',
    ],
    ...[
      '0x5 * * * *',
      '1e1 * * * *',
      'a b c d e',
      '5/10 * * * *',
      '* * * * #1',
      '* * * * 1#6',
      '@never',
      'every minute',
    ],
    ...['0 0 30 2 *', '0 0 31 4,6,9,11 *', `${'1,'.repeat(130)}1 * * * *`],
  ])('%j is refused', (cron) => {
    expect(() => parseSchedule(cron, 'UTC')).toThrow(InvalidCron);
  });

  test('is read in a zone that exists', () => {
    expect(() => parseSchedule('* * * * *', 'Mars')).toThrow(InvalidTimezone);
    expect(occurrences('0 9 * * *', 'Eastern Time (US & Canada)', '2026-01-01T00:00Z', 0)).toEqual([]);
  });

  test('means the same whatever the zone of the process', () => {
    const script = `
      import { parseSchedule } from './src/domain/schedule.ts';
      const next = parseSchedule('30 2 * * *', 'Europe/Berlin').next(new Date('2026-03-28T12:00Z'));
      process.stdout.write(next.toISOString());`;
    for (const zone of ['UTC', 'America/New_York', 'Australia/Lord_Howe', 'nonsense']) {
      const args = ['--input-type=module', '--eval', script];
      const { stdout } = spawnSync(process.execPath, args, { env: { TZ: zone }, encoding: 'utf8' });
      expect(stdout).toBe('2026-03-29T01:00:00.000Z');
    }
  });
});
