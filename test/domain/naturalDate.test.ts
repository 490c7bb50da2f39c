import { describe, expect, test } from 'vitest';
import { parseDate } from '../../src/domain/naturalDate.ts';

/** A Monday, five in the afternoon in New York. */
const now = new Date('2026-11-23T22:00:00Z');
const read = (text: string, options = {}) =>
  parseDate(text, { timezone: 'America/New_York', now, ...options })?.toISOString();

describe('a date in words', () => {
  test.each([
    ['2026-12-01', '2026-12-01T05:00:00.000Z'],
    ['tomorrow', '2026-11-24T05:00:00.000Z'],
    ['Tomorrow at 9am', '2026-11-24T14:00:00.000Z'],
    ['next friday 5pm', '2026-12-04T22:00:00.000Z'],
    ['in 2 hours', '2026-11-24T00:00:00.000Z'],
    ['2 days ago', '2026-11-21T22:00:00.000Z'],
    ['now', '2026-11-23T22:00:00.000Z'],
    ['tomorrow 9am UTC', '2026-11-24T09:00:00.000Z'],
    ['25 Dec 2026', '2026-12-25T05:00:00.000Z'],
    ['this morning', '2026-11-23T11:00:00.000Z'],
    ['friday afternoon', '2026-11-20T20:00:00.000Z'],
    ['tomorrow evening', '2026-11-25T01:00:00.000Z'],
    ['tonight', '2026-11-24T03:00:00.000Z'],
  ])('%s', (text, at) => expect(read(text)).toBe(at));

  test.each([
    '',
    'oops',
    'tomorrow or so',
    'see you tomorrow',
    'monday to friday',
    '2026-02-30',
    '0050-06-01',
    'in 20000 years',
    '24 nov 5 BC',
    `${'1 '.repeat(60)}days ago`,
  ])('%j is none', (text) => expect(read(text)).toBeUndefined());

  test('is read by the wall clock, whatever offset that will have', () => {
    const before = new Date('2026-10-31T12:00:00Z');
    expect(read('tomorrow at noon', { now: before })).toBe('2026-11-01T17:00:00.000Z');
    expect(read('in 24 hours', { now: before })).toBe('2026-11-01T12:00:00.000Z');
    expect(read('march 14 2027 2:30am')).toBe('2027-03-14T07:30:00.000Z');
    expect(read('tomorrow 9am', { now: new Date('2027-03-13T17:00:00Z') })).toBe('2027-03-14T13:00:00.000Z');
    expect(read('in 2 days', { now: before })).toBe('2026-11-02T13:00:00.000Z');
  });

  test('that counts hours from a time which the clock shows twice knows which of the two it is', () => {
    const [first, second] = [new Date('2026-11-01T05:30:00Z'), new Date('2026-11-01T06:30:00Z')];
    expect(read('in 1 hour', { now: first })).toBe('2026-11-01T06:30:00.000Z');
    expect(read('now', { now: second })).toBe('2026-11-01T06:30:00.000Z');
    for (const [language, text] of [
      ['en', 'in 2 hours'],
      ['es', 'en 2 horas'],
      ['fr', 'dans 2 heures'],
      ['ru', 'через 2 часа'],
    ])
      expect(read(text ?? '', { now: first, language })).toBe('2026-11-01T07:30:00.000Z');
  });

  test('may be in the language of the request, or in English', () => {
    expect(read('mañana a las 17:00', { language: 'es' })).toBe('2026-11-24T22:00:00.000Z');
    expect(read('demain à 17h', { language: 'fr' })).toBe('2026-11-24T22:00:00.000Z');
    expect(read('завтра в 17:00', { language: 'ru' })).toBe('2026-11-24T22:00:00.000Z');
    expect(read('tomorrow at 5pm', { language: 'ru' })).toBe('2026-11-24T22:00:00.000Z');
  });

  test('looks ahead where that is what is meant', () => {
    expect(read('friday')).toBe('2026-11-20T05:00:00.000Z');
    expect(read('friday', { isForward: true })).toBe('2026-11-27T05:00:00.000Z');
  });

  test('of 100,000 characters is refused at once', () => {
    expect(read('next '.repeat(20_000))).toBeUndefined();
  });
});
