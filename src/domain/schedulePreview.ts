import cronstrue from 'cronstrue/i18n.js';
import { type ChangedClock, readSchedule } from './schedule.ts';

export interface SchedulePreview {
  /** In words; null where the expression is beyond them. */
  description: string | null;
  /** `interval` follows real time where the clock changes, `fixed` the wall clock (src/domain/schedule.ts). */
  kind: 'fixed' | 'interval';
  occurrences: { at: Date; changedClock: ChangedClock | null }[];
}

export interface PreviewRequest {
  cron: string;
  timezone: string;
  /** The first occurrence is the first after it. */
  from: Date;
  count: number;
  /** Of the words: en, es, fr or ru. */
  language: string;
}

/** The next occurrences of an expression, and what a change of the clock does to them. @throws what parseSchedule throws */
export function previewSchedule({ cron, timezone, from, count, language }: PreviewRequest): SchedulePreview {
  const { kind, schedule, changedClockAt } = readSchedule(cron, timezone);
  const occurrences: SchedulePreview['occurrences'] = [];
  for (let at = schedule.next(from); at && occurrences.length < count; at = schedule.next(at)) {
    occurrences.push({ at, changedClock: changedClockAt(at) });
  }
  return { description: describe(cron, language), kind, occurrences };
}

function describe(cron: string, locale: string): string | null {
  try {
    return cronstrue.default.toString(cron, { locale, use24HourTimeFormat: true, throwExceptionOnParseError: true });
  } catch {
    return null;
  }
}
