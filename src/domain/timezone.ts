import { RAILS_TIMEZONES } from './timezoneNames.ts';
import { fromLocal, offsetMsAt, remember } from './zone.ts';

const resolved = new Map<string, string | undefined>();

/**
 * The IANA name for a name a user gave: an IANA name in any case, links such as US/Eastern included, or a Rails display
 * name ("Eastern Time (US & Canada)"). Undefined for anything else; offsets such as "+05:30" are no names.
 */
export function resolveTimezone(name: string): string | undefined {
  if (resolved.has(name)) return resolved.get(name);
  if (name.length === 0 || name.length > 64) return undefined;
  return remember(resolved, name, resolve(name));
}

function resolve(name: string): string | undefined {
  const display = RAILS_TIMEZONES[name];
  if (display !== undefined) return display;
  // Letters first: Intl takes offsets for zones too.
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return undefined;
  try {
    const canonical = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
    if (canonical === 'UTC') return 'UTC';
    // A link (US/Eastern) keeps the name it was given; only the case of a zone's own name is put right.
    return canonical.toLowerCase() === name.toLowerCase() ? canonical : name;
  } catch {
    return undefined;
  }
}

/** One name for all the names of a zone: links (US/Eastern) and display names stand for the zone that they lead to. */
export function canonicalZone(name: string): string | undefined {
  const zone = resolveTimezone(name);
  return zone && new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone;
}

/** When the zone's day around an instant began; the first moment after it where a change of the clock skips midnight. */
export function startOfDay(at: Date, timezone: string): Date {
  const local = new Date(at.getTime() + offsetMsAt(timezone, at.getTime()));
  return fromLocal(Math.floor(local.getTime() / 86_400_000) * 86_400_000, timezone);
}

/** ISO 8601 with three decimals in a zone: `2026-11-24T10:00:00.000-05:00`; UTC ends in `Z`. */
export function formatInZone(instant: Date, timezone: string): string {
  if (timezone === 'UTC') return instant.toISOString();
  const offsetMs = offsetMsAt(timezone, instant.getTime());
  const local = new Date(instant.getTime() + offsetMs).toISOString().slice(0, -1);
  return local + formatOffset(offsetMs / 60_000);
}

function formatOffset(minutes: number): string {
  const size = Math.abs(Math.round(minutes));
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const two = (n: number) => String(n).padStart(2, '0');
