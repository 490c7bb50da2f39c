import { type Finding, ok, reasonOf, warning } from './finding.ts';

const SKEW_MS_MAX = 2000;

/** Schedules go by the database's clock whatever a node's says; tokens, logs and lists of workers do not. */
export async function checkClock(
  what: string,
  readMs: () => Promise<number>,
  wallClock: () => number,
): Promise<Finding> {
  try {
    const askedAtMs = wallClock();
    const theirsMs = await readMs();
    const skewMs = Math.round((askedAtMs + wallClock()) / 2 - theirsMs);
    const direction = skewMs < 0 ? 'behind' : 'ahead of';
    const says = `this node is ${Math.abs(skewMs) / 1000} s ${direction} it`;
    return Math.abs(skewMs) <= SKEW_MS_MAX ? ok(what, says) : warning(what, says, 'set the time on both by NTP');
  } catch (error) {
    return warning(what, reasonOf(error), 'see above');
  }
}
