/** A time zone's offsets, from the runtime's own IANA data (Intl). Pure: the process's TZ has no part in it. */

/** A stretch of real time in which a zone's offset from UTC does not change. Milliseconds; the start is included. */
export interface Segment {
  startMs: number;
  endMs: number;
  offsetMs: number;
}

const DAY_MS = 86_400_000;
const YEAR_MS = 366 * DAY_MS;

/** Zones and years in use at once: a year of a zone costs about a kilobyte and 2 ms to find. */
const CACHE_MAX = 2000;
const segmentsByYear = new Map<string, Segment[]>();
const formats = new Map<string, Intl.DateTimeFormat>();

/** The segment that holds an instant. Its bounds are exact inside the instant's year and stop at the year's ends. */
export function segmentAt(zone: string, instantMs: number): Segment {
  const year = Math.floor(instantMs / YEAR_MS);
  for (const segment of segmentsOf(zone, year)) if (instantMs < segment.endMs) return segment;
  throw new Error(`No segment of ${zone} holds ${instantMs}`);
}

/** Milliseconds to add to UTC for the zone's local reading. */
export function offsetMsAt(zone: string, instantMs: number): number {
  return segmentAt(zone, instantMs).offsetMs;
}

function segmentsOf(zone: string, year: number): Segment[] {
  const key = `${zone}@${year}`;
  const cached = segmentsByYear.get(key);
  if (cached) return cached;
  const found = findSegments(zone, year * YEAR_MS, (year + 1) * YEAR_MS);
  return remember(segmentsByYear, key, found);
}

/** Daily readings, and the exact second between two that differ: no zone changes twice inside a day. */
function findSegments(zone: string, fromMs: number, toMs: number): Segment[] {
  const segments: Segment[] = [];
  let startMs = fromMs;
  let offsetMs = readOffsetMs(zone, fromMs);
  for (let atMs = fromMs; atMs < toMs; atMs += DAY_MS) {
    const nextOffsetMs = readOffsetMs(zone, atMs + DAY_MS);
    if (nextOffsetMs === offsetMs) continue;
    const endMs = bisect(atMs, atMs + DAY_MS, (ms) => readOffsetMs(zone, ms) !== offsetMs);
    if (endMs >= toMs) break;
    segments.push({ startMs, endMs, offsetMs });
    startMs = endMs;
    offsetMs = nextOffsetMs;
  }
  segments.push({ startMs, endMs: toMs, offsetMs });
  return segments;
}

/** The first whole second after `fromMs` for which the test holds, given that it holds at `toMs`. */
function bisect(fromMs: number, toMs: number, holds: (ms: number) => boolean): number {
  let [low, high] = [fromMs / 1000, toMs / 1000];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle * 1000)) high = middle;
    else low = middle;
  }
  return high * 1000;
}

function readOffsetMs(zone: string, instantMs: number): number {
  const parts = formatOf(zone).formatToParts(instantMs);
  const read = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((part) => part.type === type)?.value);
  const local = Date.UTC(read('year'), read('month') - 1, read('day'), read('hour'), read('minute'), read('second'));
  return local - instantMs;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const cached = formats.get(zone);
  if (cached) return cached;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return remember(formats, zone, format);
}

/** Keeps a value in a map of bounded size; the oldest goes first. */
export function remember<T>(cache: Map<string, T>, key: string, value: T): T {
  const oldest = cache.size >= CACHE_MAX ? cache.keys().next().value : undefined;
  if (oldest !== undefined) cache.delete(oldest);
  cache.set(key, value);
  return value;
}

/**
 * The instant of a local time, which is given as if it were UTC. One that a change of the clock skips is the moment as long
 * after the gap, one that it repeats its first pass.
 */
export function fromLocal(localMs: number, timezone: string): Date {
  const readings = readingsOf(timezone, localMs);
  return new Date(readings[0] ?? localMs - offsetMsAt(timezone, localMs - DAY_MS));
}

/** Whether a change of the clock repeats a local time. */
export function isReadTwice(timezone: string, localMs: number): boolean {
  return readingsOf(timezone, localMs).length > 1;
}

/** The instants at which the zone's clock shows a local time, in their order. */
function readingsOf(timezone: string, localMs: number): number[] {
  const offsets = new Set([-DAY_MS, DAY_MS].map((ms) => offsetMsAt(timezone, localMs + ms)));
  const candidates = [...offsets].map((offset) => localMs - offset);
  return candidates.filter((ms) => ms + offsetMsAt(timezone, ms) === localMs).toSorted((a, b) => a - b);
}
