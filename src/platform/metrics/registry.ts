import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { VERSION } from '../version.ts';

export type { Registry };

/** Their names end in _total and they are no counters: each has a sibling without it, by type. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** The event loop is looked at so often, which its lag includes: with the default, 10 ms, that was half of what an idle worker did. */
const LOOP_MS = 50;

/** For what is asked beside a process's own. */
export const createGauges = (): Registry => new Registry();

/** What a process counts of itself: to begin with its version, memory, CPU time and event loop. */
export function createRegistry(part: 'api' | 'worker'): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  new Gauge({
    name: 'bjr_build_info',
    help: 'Always 1; the labels say which part of BJR runs, in which version.',
    labelNames: ['part', 'version'],
    registers: [registry],
    aggregator: 'first',
  }).set({ part, version: VERSION }, 1);
  return registry;
}
