import type { DatabaseClock } from '../platform/clock.ts';
import type { Emit } from '../platform/events.ts';
import type { WakeUps } from '../redis/wakeUps.ts';
import type { Database } from '../store/database.ts';
import { markDue } from '../store/markDue.ts';
import type { Election } from './election.ts';

export interface LeaderParts {
  db: Database;
  election: Election;
  /** Ends lost runs, and returns how many. One for each time that this node becomes the leader: what it saw before is old. */
  createReaper(): () => Promise<number>;
  wakeUps: WakeUps;
  clock: DatabaseClock;
  /** A minute, in production. */
  tickMs: number;
  /** Between passes: a third of the leader's term. */
  passMs: number;
  emit: Emit;
}

export interface TickCounts {
  marked: number;
  reaped: number;
}

/**
 * One pass: extends the term, reaps, and marks when a tick has come, right after an election too. Returns the milliseconds
 * to the next pass: the next tick, or the next renewal of the term if that comes first.
 */
export function createLeaderPass(parts: LeaderParts): () => Promise<number> {
  let nextTickAtMs = 0;
  let wasLeading = false;
  let reap = parts.createReaper();
  return async () => {
    const isLeading = await parts.election.lead();
    if (!isLeading) {
      wasLeading = false;
      return parts.passMs;
    }
    const nowMs = parts.clock.now().getTime();
    if (!wasLeading) reap = parts.createReaper();
    const isTick = !wasLeading || nowMs >= nextTickAtMs || nextTickAtMs - nowMs > parts.tickMs;
    wasLeading = true;
    if (isTick) {
      await tick(parts, reap);
      nextTickAtMs = tickAfter(nowMs, parts.tickMs);
    } else {
      await reap();
    }
    return Math.min(parts.passMs, Math.max(0, nextTickAtMs - parts.clock.now().getTime()));
  };
}

/** Halfway between two full minutes: at those most jobs are due, and what starts them is not to wait for marks of later ones. */
const tickAfter = (nowMs: number, tickMs: number) => (Math.floor(nowMs / tickMs - 0.5) + 1.5) * tickMs;

/** The leader's minute. Any node may do it at any time. */
async function tick(parts: LeaderParts, reap: () => Promise<number>): Promise<TickCounts> {
  const marked = await markDue(parts.db);
  if (marked > 0) {
    parts.emit({ type: 'marked', count: marked });
    await parts.wakeUps.send('jobs');
  }
  const reaped = await reap();
  return { marked, reaped };
}
