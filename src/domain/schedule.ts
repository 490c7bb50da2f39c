import { Cron } from 'croner';
import { resolveTimezone } from './timezone.ts';
import { isReadTwice, offsetMsAt, remember, type Segment, segmentAt } from './zone.ts';

/**
 * When a job occurs: a cron expression read in a time zone.
 *
 * Five fields, or six with seconds first. Names (JAN, MON), lists, ranges, steps, `L` (last day of the month), `MON#1` and
 * `FRI#L` (nth and last weekday), `W`, `?`, 7 for Sunday, and nicknames (@daily). Day-of-month and day-of-week both given:
 * either matches.
 *
 * Where the zone's clock changes:
 * - An expression whose hour field begins with `*` is an *interval*. It follows real time: every instant whose local
 *   reading matches is an occurrence, so a skipped local time does not occur and a repeated one occurs twice.
 * - Any other expression names hours and is *fixed*. Every matching local time occurs exactly once: a repeated one at its
 *   first pass, a skipped one at the first moment after the gap, where several that fall together are one occurrence.
 *
 * This is Vixie cron's rule (cron(8): "Local time changes of less than three hours …") with two differences: a gap of any
 * length counts (Apia's lost day), and a wildcard in the minutes alone does not make an interval: every quarter of the hour
 * from 2 would be passed over in silence on the day of a gap.
 */
export interface Schedule {
  /** The first occurrence after an instant, in whole seconds; null when there is none. */
  next(after: Date): Date | null;
}

export class InvalidCron extends Error {
  readonly cron: string;
  constructor(cron: string, options?: ErrorOptions) {
    super(`Cron '${cron}' is an invalid cron expression.`, options);
    this.name = 'InvalidCron';
    this.cron = cron;
  }
}

export class InvalidTimezone extends Error {
  readonly timezone: string;
  constructor(timezone: string) {
    super(`Invalid timezone '${timezone}'`);
    this.name = 'InvalidTimezone';
    this.timezone = timezone;
  }
}

export const CRON_LENGTH_MAX = 255;
const cache = new Map<string, Schedule>();

/**
 * @param timezone an IANA name or a display name (src/domain/timezoneNames.ts)
 * @throws {InvalidCron} for an expression that cannot be read or that never occurs
 * @throws {InvalidTimezone}
 */
export function parseSchedule(cron: string, timezone: string): Schedule {
  const key = `${timezone}\n${cron}`;
  return cache.get(key) ?? remember(cache, key, parse(cron, timezone));
}

/** A job's schedule with the bounds within which it occurs, both included. */
export interface Scheduled {
  cron: string;
  timezone: string;
  startsAt: Date | null;
  endsAt: Date | null;
}

/** When a job occurs. @throws what parseSchedule throws */
export function scheduleOf({ cron, timezone, startsAt, endsAt }: Scheduled): Schedule {
  const schedule = parseSchedule(cron, timezone);
  return {
    next(after) {
      const isEarly = startsAt !== null && after < startsAt;
      const found = schedule.next(isEarly ? new Date(startsAt.getTime() - 1) : after);
      return found && endsAt && found > endsAt ? null : found;
    },
  };
}

function parse(cron: string, timezone: string): Schedule {
  return readSchedule(cron, timezone).schedule;
}

/** What a change of the clock does to an occurrence: its local time is skipped, and it comes right after; or is read twice. */
export type ChangedClock = 'skipped' | 'repeated';

/** A schedule with what there is to say about it. @throws what parseSchedule throws */
export function readSchedule(cron: string, timezone: string) {
  const zone = resolveTimezone(timezone);
  if (zone === undefined) throw new InvalidTimezone(timezone);
  const pattern = parsePattern(cron);
  const nextOf = pattern.isInterval ? nextOfInterval : nextOfFixed;
  const schedule: Schedule = {
    next: (after) => {
      const found = nextOf(pattern, zone, Math.floor(after.getTime() / 1000) * 1000);
      return found === null ? null : new Date(found);
    },
  };
  const kind = pattern.isInterval ? ('interval' as const) : ('fixed' as const);
  return { kind, schedule, changedClockAt: (at: Date) => changedClockAt(pattern, zone, at.getTime()) };
}

function changedClockAt(pattern: Pattern, zone: string, atMs: number): ChangedClock | null {
  const localMs = atMs + offsetMsAt(zone, atMs);
  if (pattern.nextLocal(localMs - 1000) !== localMs) return 'skipped';
  return isReadTwice(zone, localMs) ? 'repeated' : null;
}

/** A cron expression over wall-clock time, which is written as if it were UTC. Milliseconds. */
interface Pattern {
  isInterval: boolean;
  /** The first match after a local time; null when there is none. */
  nextLocal(afterMs: number): number | null;
}

function parsePattern(cron: string): Pattern {
  if (cron.length > CRON_LENGTH_MAX) throw new InvalidCron(cron);
  const iterator = readCron(cron);
  const nextLocal = (afterMs: number) => iterator.nextRun(new Date(afterMs))?.getTime() ?? null;
  // Every pattern that occurs at all occurs within eight years of a leap year (2096 to 2104 is the longest wait).
  if (nextLocal(Date.UTC(2024, 0, 1)) === null) throw new InvalidCron(cron);
  return { isInterval: hourField(cron).startsWith('*'), nextLocal };
}

function readCron(cron: string): Cron {
  try {
    return new Cron(cron, { utcOffset: 0, mode: '5-or-6-parts' });
  } catch (error) {
    throw new InvalidCron(cron, { cause: error });
  }
}

function hourField(cron: string): string {
  const fields = cron.trim().split(/\s+/);
  if (fields.length === 1) return /^@hourly$/i.test(cron.trim()) ? '*' : '0';
  return fields.at(fields.length === 6 ? 2 : 1) ?? '';
}

/** Clock changes to look past before giving up: a zone has a few a year, and no pattern waits longer than eight years. */
const SEGMENTS_MAX = 200;

/** Every local reading of every segment counts. */
function nextOfInterval({ nextLocal }: Pattern, zone: string, afterMs: number): number | null {
  let fromMs = afterMs;
  for (let looked = 0; looked < SEGMENTS_MAX; looked++) {
    const segment = segmentAt(zone, looked === 0 ? fromMs : fromMs + 1000);
    const local = nextLocal(fromMs + segment.offsetMs);
    if (local === null) return null;
    if (local - segment.offsetMs < segment.endMs) return local - segment.offsetMs;
    // The moment of the change itself belongs to the next segment: look at it from a second before.
    fromMs = segment.endMs - 1000;
  }
  return null;
}

/** Local time is read once: it goes on from the furthest reading so far, and a gap is one moment. */
function nextOfFixed({ nextLocal }: Pattern, zone: string, afterMs: number): number | null {
  let segment = segmentAt(zone, afterMs);
  let reachedMs = Math.max(afterMs + segment.offsetMs, reachedBefore(zone, segment));
  for (let looked = 0; looked < SEGMENTS_MAX; looked++) {
    const local = nextLocal(reachedMs);
    if (local === null) return null;
    const localStartMs = segment.startMs + segment.offsetMs;
    if (local < localStartMs && segment.startMs > afterMs) return segment.startMs;
    if (local - segment.offsetMs < segment.endMs) return local - segment.offsetMs;
    reachedMs = Math.max(reachedMs, segment.endMs + segment.offsetMs - 1000);
    segment = segmentAt(zone, segment.endMs);
  }
  return null;
}

/**
 * The last local second read before a segment began: later than its own first reading where the clock went back. Segments
 * also end with their year, so a change less than a day before such a bound counts as well.
 */
function reachedBefore(zone: string, segment: Segment): number {
  const before = segmentAt(zone, segment.startMs - 1000);
  const reachedMs = segment.startMs - 1000 + before.offsetMs;
  const isShort = before.endMs - before.startMs < 86_400_000;
  return isShort ? Math.max(reachedMs, reachedBefore(zone, before)) : reachedMs;
}
