import type { MisfireReason } from '../domain/misfire.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { Log } from './log.ts';

/** One event per transition, with ids. Logs and metrics subscribe; nothing else depends on them. */
export type Event =
  | { type: 'batch_claimed'; count: number; durationMs: number }
  | { type: 'run_claimed'; jobId: number; runId: number; leaseToken: number; lagMs: number | null }
  | { type: 'run_started'; jobId: number; runId: number; pid: number }
  | { type: 'run_recorded'; jobId: number; runId: number; outcome: Outcome; durationMs: number }
  | { type: 'lease_lost'; jobId: number; runId: number; leaseToken: number }
  | { type: 'lease_released'; jobId: number; runId: number }
  | { type: 'run_reaped'; jobId: number; runId: number | null; workerId: string | null }
  | { type: 'misfired'; jobId: number; count: number; reason: MisfireReason }
  | { type: 'callback_delivered'; jobId: number; runId: number; deliveryId: number }
  | { type: 'callback_failed'; jobId: number; runId: number; deliveryId: number; isGivenUp: boolean }
  | { type: 'schedule_broken'; jobId: number; reason: string }
  | { type: 'marked'; count: number }
  | { type: 'leader_elected'; by: 'redis' | 'database' }
  | { type: 'leader_resigned'; reason: string }
  | { type: 'transaction_retried'; code: string; attempt: number }
  | { type: 'request_answered'; method: string; route: string; status: number; durationMs: number };

export type Emit = (event: Event) => void;

/** Tells each of them. */
export const tellAll =
  (...subscribers: Emit[]): Emit =>
  (event) => {
    for (const tell of subscribers) tell(event);
  };

const QUIET = new Set<Event['type']>([
  'batch_claimed',
  'run_claimed',
  'run_started',
  'marked',
  'transaction_retried',
  'callback_delivered',
  'request_answered',
]);
const ALARMING = new Set<Event['type']>(['lease_lost', 'run_reaped', 'misfired', 'schedule_broken', 'callback_failed']);

/** Transitions as log lines: the frequent ones at debug, those that someone should look at as warnings. */
export function logEvents(log: Log): Emit {
  return ({ type, ...fields }) => {
    if (ALARMING.has(type)) log.warn({ event: type, ...fields }, type);
    else if (QUIET.has(type)) log.debug({ event: type, ...fields }, type);
    else log.info({ event: type, ...fields }, type);
  };
}
