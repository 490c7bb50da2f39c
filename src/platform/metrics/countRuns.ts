import { Counter, Histogram, type Registry } from 'prom-client';
import { MISFIRE_REASONS } from '../../domain/misfire.ts';
import { OUTCOMES } from '../../domain/outcome.ts';
import type { Monotonic } from '../clock.ts';
import type { Emit } from '../events.ts';

/** Seconds. A claim is milliseconds long, a lag too where slots are free; runs last from milliseconds to a day. */
const CLAIM_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const LAG_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800];
const DURATION_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400];

const CALLBACK_RESULTS = ['delivered', 'retried', 'given_up'] as const;

/** What becomes of runs on this worker, and what it does as the leader. */
export function countRuns(registry: Registry, monotonic: Monotonic): Emit {
  const lag = watchLag(registry, monotonic);
  const counters = addCounters(registry);
  return (event) => {
    lag(event);
    count(event, counters);
  };
}

type Counters = ReturnType<typeof addCounters>;

function addCounters(registry: Registry) {
  const registers = [registry];
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, registers });
  const total = (name: string, help: string) => new Counter({ name, help, registers });
  /** Every value of the label is there from the start: an increase from nothing is not seen. */
  const totals = <T extends string>(name: string, help: string, [label, values]: [string, readonly T[]]) => {
    const counter = new Counter({ name, help, labelNames: [label], registers });
    for (const value of values) counter.inc({ [label]: value }, 0);
    return { add: (value: T, by = 1) => counter.inc({ [label]: value }, by) };
  };
  return {
    claims: histogram('bjr_claim_duration_seconds', 'Time of a claim that found something due.', CLAIM_BUCKETS),
    durations: histogram('bjr_run_duration_seconds', 'Time that recorded runs took.', DURATION_BUCKETS),
    runs: totals('bjr_runs_total', 'Runs that have ended.', ['outcome', OUTCOMES]),
    misfires: totals('bjr_misfires_total', 'Occurrences that did not run on time.', ['reason', MISFIRE_REASONS]),
    leasesLost: total('bjr_leases_lost_total', 'Outcomes that were refused, because the lease had moved on.'),
    leasesReleased: total('bjr_leases_released_total', 'Leases that were given back, their command not started.'),
    brokenSchedules: total('bjr_broken_schedules_total', 'Jobs set aside: their schedule cannot be read any more.'),
    elections: totals('bjr_leader_elections_total', 'How often this worker became the leader.', [
      'by',
      ['redis', 'database'],
    ]),
    callbacks: totals('bjr_callback_attempts_total', 'Tries to deliver a callback.', ['result', CALLBACK_RESULTS]),
  };
}

function count(event: Parameters<Emit>[0], counters: Counters): void {
  switch (event.type) {
    case 'batch_claimed':
      counters.claims.observe(event.durationMs / 1000);
      break;
    case 'run_recorded':
      counters.durations.observe(event.durationMs / 1000);
      counters.runs.add(event.outcome);
      break;
    case 'run_reaped':
      if (event.runId !== null) counters.runs.add('lost');
      break;
    case 'misfired':
      counters.misfires.add(event.reason, event.count);
      break;
    case 'lease_lost':
      counters.leasesLost.inc();
      break;
    case 'lease_released':
      counters.leasesReleased.inc();
      break;
    case 'schedule_broken':
      counters.brokenSchedules.inc();
      break;
    case 'leader_elected':
      counters.elections.add(event.by);
      break;
    case 'callback_delivered':
      counters.callbacks.add('delivered');
      break;
    case 'callback_failed':
      counters.callbacks.add(event.isGivenUp ? 'given_up' : 'retried');
      break;
    default:
  }
}

/** From the occurrence to the command's start: the lag at the claim, and what passed until then on this node. */
function watchLag(registry: Registry, monotonic: Monotonic): Emit {
  const lag = new Histogram({
    name: 'bjr_start_lag_seconds',
    help: 'From the occurrence to the start of its command; runs by hand and retries are left out.',
    buckets: LAG_BUCKETS,
    registers: [registry],
  });
  const claimed = new Map<number, number>();
  return (event) => {
    switch (event.type) {
      case 'run_claimed':
        if (event.lagMs !== null) claimed.set(event.runId, monotonic() - event.lagMs);
        break;
      case 'run_started': {
        const occurredAtMs = claimed.get(event.runId);
        if (occurredAtMs !== undefined) lag.observe((monotonic() - occurredAtMs) / 1000);
        claimed.delete(event.runId);
        break;
      }
      // It was never started.
      case 'run_recorded':
      case 'lease_lost':
      case 'lease_released':
        claimed.delete(event.runId);
        break;
      default:
    }
  };
}
