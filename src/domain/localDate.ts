import { fromLocal } from './zone.ts';

const ISO = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?\s*(Z|[+-]\d{2}:?\d{2})?$/i;

/** Whether it is written as an ISO 8601 date, be there such a day or not. */
export const isIsoShaped = (text: string): boolean => ISO.test(text);

/**
 * An ISO 8601 date or date and time. Without an offset it is the zone's local time; a time that a change of the clock
 * skips is read as the moment after the gap, one that it repeats as its first pass. Null for anything else.
 */
export function parseLocalDate(text: string, timezone: string): Date | null {
  const match = ISO.exec(text.trim());
  if (!match) return null;
  const [, day = '', time = '00:00', offset] = match;
  const asUtc = new Date(`${day}T${time}Z`);
  if (Number.isNaN(asUtc.getTime()) || asUtc.toISOString().slice(0, 10) !== day) return null;
  if (offset) return new Date(asUtc.getTime() - offsetOf(offset));
  return fromLocal(asUtc.getTime(), timezone);
}

function offsetOf(text: string): number {
  if (text.toUpperCase() === 'Z') return 0;
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replaceAll(/\D/g, '');
  return sign * (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))) * 60_000;
}
