import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSchedule } from '../../src/domain/schedule.ts';
import { referenceOccurrences } from '../support/referenceSchedule.ts';

/** Changes of the clock of many kinds: an hour, half an hour, at midnight, backwards, a whole day, across a year's end. */
const CHANGES: [zone: string, around: string][] = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['America/New_York', '2026-03-08T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['America/Santiago', '2026-04-05T03:00:00Z'],
  ['America/Santiago', '2026-09-06T04:00:00Z'],
  ['America/Havana', '2026-03-08T05:00:00Z'],
  ['America/Havana', '2026-11-01T05:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00:00Z'],
  ['Africa/Casablanca', '2026-03-22T02:00:00Z'],
  ['Antarctica/Troll', '2026-03-29T01:00:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['Asia/Pyongyang', '2015-08-14T15:00:00Z'],
  ['Asia/Kolkata', '2026-01-01T00:00:00Z'],
];

const number = (min: number, max: number) => fc.integer({ min, max }).map(String);
const range = (min: number, max: number) =>
  fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
const field = (min: number, max: number) =>
  fc.oneof(
    number(min, max),
    range(min, max),
    fc.constant('*'),
    fc.integer({ min: 2, max: Math.min(15, max) }).map((step) => `*/${step}`),
    fc.array(number(min, max), { minLength: 2, maxLength: 4 }).map((items) => items.join(',')),
  );
// The hours of the changes, mostly: the rest of the day is the same everywhere.
const hour = fc.oneof({ weight: 3, arbitrary: field(0, 4) }, field(0, 23));
const day = fc.oneof({ weight: 4, arbitrary: fc.constant('*') }, field(1, 28));
const weekday = fc.oneof({ weight: 4, arbitrary: fc.constant('*') }, field(0, 6));
const fiveFields = fc.tuple(field(0, 59), hour, day, fc.constant('*'), weekday).map((fields) => fields.join(' '));
const expression = fc.oneof(
  { weight: 3, arbitrary: fiveFields },
  { weight: 1, arbitrary: fc.tuple(number(0, 59), fiveFields).map((fields) => fields.join(' ')) },
);

test('a schedule occurs when the slow reference says, around every kind of clock change', () => {
  fc.assert(
    fc.property(
      expression,
      fc.constantFrom(...CHANGES),
      fc.integer({ min: -5 * 3600, max: 3 * 3600 }),
      (cron, change, offset) => {
        const [zone, around] = change;
        const after = Date.parse(around) / 1000 + offset;
        const until = after + 8 * 3600;
        const schedule = parseSchedule(cron, zone);
        const found: number[] = [];
        for (
          let at = schedule.next(new Date(after * 1000));
          at && at.getTime() / 1000 <= until;
          at = schedule.next(at)
        ) {
          found.push(at.getTime() / 1000);
        }
        expect(found).toEqual(referenceOccurrences(cron, zone, { after, until }));
      },
    ),
    { numRuns: 120, seed: Number(process.env['SEED'] ?? 1) },
  );
});
