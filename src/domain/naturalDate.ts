import { createRequire } from 'node:module';
import type { Chrono, ParsedResult } from 'chrono-node';
import { isIsoShaped, parseLocalDate } from './localDate.ts';
import { fromLocal, offsetMsAt } from './zone.ts';

export interface DateOptions {
  /** IANA name of the zone in which it is read. */
  timezone: string;
  now: Date;
  /** Which words are tried first: en, es, fr or ru. English is always understood. */
  language?: string;
  /** Words such as "friday" mean the coming one, not the nearest. */
  isForward?: boolean;
}

/** No date is longer; the patterns for words take their time over long texts. */
const LENGTH_MAX = 100;
const LANGUAGES = ['en', 'es', 'fr', 'ru'];
const readers = new Map<string, Chrono>();
const require = createRequire(import.meta.url);

/** Loaded with the first date in words of its language, which most processes never see: 6 MB for all. */
function readerOf(language: string): Chrono | undefined {
  if (!readers.has(language) && LANGUAGES.includes(language))
    readers.set(language, (require(`chrono-node/${language}`) as { casual: Chrono }).casual);
  return readers.get(language);
}

/** A date in ISO 8601 or in words ("tomorrow", "next friday 5pm", "in 2 hours"). Null for anything else. */
export function parseDate(text: string, options: DateOptions): Date | null {
  const trimmed = text.trim();
  if (trimmed.length > LENGTH_MAX) return null;
  // 2026-13-01 is no date: words would have it for the 13th of January.
  const found = isIsoShaped(trimmed) ? parseLocalDate(trimmed, options.timezone) : parseWords(trimmed, options);
  return found && isStorable(found) ? found : null;
}

/** MySQL's range of a datetime, in UTC. */
function isStorable(date: Date): boolean {
  const year = date.getUTCFullYear();
  return year >= 1000 && year <= 9999;
}

function parseWords(text: string, options: DateOptions): Date | null {
  const languages = [...new Set([options.language ?? 'en', 'en'])];
  for (const language of languages) {
    const reader = readerOf(language);
    const found = reader && readWhole(reader, text, options);
    if (found) return toInstant(found, options.timezone);
  }
  return null;
}

/** A date with something before or behind it is no date. */
function readWhole(reader: Chrono, text: string, { timezone, now, isForward = false }: DateOptions) {
  const reference = { instant: now, timezone: offsetMsAt(timezone, now.getTime()) / 60_000 };
  const [found, ...more] = reader.parse(text, reference, { forwardDate: isForward });
  return found && more.length === 0 && found.text === text && !found.end ? found : undefined;
}

/** Words that name a part of the day, or count from now; any other date without a time begins with its day. */
const KEEPS_TIME = [
  'result/relativeDate',
  ...['morning', 'afternoon', 'evening', 'tonight'].map((part) => `casualReference/${part}` as const),
] as const;

/** With an offset of its own it is an instant already; else its fields are the zone's wall clock. */
function toInstant({ start }: ParsedResult, timezone: string): Date | null {
  if (start.isCertain('timezoneOffset')) return start.date();
  const field = (name: Parameters<typeof start.get>[0]) => start.get(name) ?? 0;
  const isTimed = start.isCertain('hour') || KEEPS_TIME.some((tag) => start.tags().has(tag));
  const time = isTimed ? ([field('hour'), field('minute'), field('second')] as const) : ([0, 0, 0] as const);
  const localMs = Date.UTC(field('year'), field('month') - 1, field('day'), ...time);
  return Number.isNaN(localMs) ? null : fromLocal(localMs, timezone);
}
