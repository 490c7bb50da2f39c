/**
 * A slow, obvious reference for schedules, sharing nothing with src/: it steps through real time second by second, reads
 * each second's local time from Intl, and applies the rule for clock changes as it is written down.
 */

interface Reading {
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
  second: number;
  /** Local time written as UTC, in seconds: comparable. */
  local: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Clocks change at full minutes: one reading of Intl serves a minute. */
function read(zone: string, second: number): Reading {
  const minute = Math.floor(second / 60) * 60;
  const key = `${zone}@${minute}`;
  const local = minutes.get(key) ?? readMinute(zone, minute);
  minutes.set(key, local);
  return ofLocal(local + second - minute);
}

const minutes = new Map<string, number>();

function readMinute(zone: string, second: number): number {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(zone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(second * 1000).map(({ type, value }) => [type, value]));
  const number = (name: string) => Number(parts[name]);
  return (
    Date.UTC(number('year'), number('month') - 1, number('day'), number('hour'), number('minute'), number('second')) /
    1000
  );
}

function ofLocal(local: number): Reading {
  const date = new Date(local * 1000);
  return {
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    local,
  };
}

/** Numbers, lists, ranges and steps: what the property test makes. */
function matches(field: string, value: number, first: number, last: number): boolean {
  return field.split(',').some((item) => {
    const [range = '', step = '1'] = item.split('/');
    const [from = '', to = from] = range === '*' ? [String(first), String(last)] : range.split('-');
    return value >= Number(from) && value <= Number(to) && (value - Number(from)) % Number(step) === 0;
  });
}

function isMatch(fields: string[], at: Reading): boolean {
  const [second = '', minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const byDay = matches(day, at.day, 1, 31);
  const byWeekday =
    matches(weekday, at.weekday, 0, 6) || (at.weekday === 0 && matches(weekday, 7, 0, 7) && weekday !== '*');
  const isDay = day === '*' || weekday === '*' ? byDay && byWeekday : byDay || byWeekday;
  return (
    matches(second, at.second, 0, 59) &&
    matches(minute, at.minute, 0, 59) &&
    matches(hour, at.hour, 0, 23) &&
    matches(month, at.month, 1, 12) &&
    isDay
  );
}

/** Every occurrence after an instant and up to another, in seconds of the epoch. */
export function referenceOccurrences(
  cron: string,
  zone: string,
  { after, until }: { after: number; until: number },
): number[] {
  const given = cron.split(' ');
  const fields = given.length === 5 ? ['0', ...given] : given;
  const isInterval = (fields[2] ?? '').startsWith('*');
  const found: number[] = [];
  // Some hours earlier: what local time has been read before decides about the first pass.
  let furthest = Number.NEGATIVE_INFINITY;
  for (let at = after - 5 * 3600; at <= until; at++) {
    const reading = read(zone, at);
    const isFirstPass = reading.local > furthest;
    // Skipped readings, when the clock has just jumped ahead.
    const isAfterGap = furthest !== Number.NEGATIVE_INFINITY && reading.local > furthest + 1;
    const skipped = isAfterGap && !isInterval && anySkipped(fields, furthest + 1, reading.local);
    if (isFirstPass) furthest = reading.local;
    const occurs = isInterval ? isMatch(fields, reading) : skipped || (isFirstPass && isMatch(fields, reading));
    if (occurs && at > after) found.push(at);
  }
  return found;
}

function anySkipped(fields: string[], from: number, to: number): boolean {
  for (let local = from; local < to; local++) if (isMatch(fields, ofLocal(local))) return true;
  return false;
}
