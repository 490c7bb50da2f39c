import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import { addBacklog } from '../platform/metrics/backlog.ts';
import { addFleet } from '../platform/metrics/fleet.ts';
import { serveProbes } from '../platform/metrics/listener.ts';
import { createGauges } from '../platform/metrics/registry.ts';
import { connectRedis } from '../redis/connection.ts';
import { createWorkerRegistry } from '../redis/workers.ts';
import { createDatabase } from '../store/database.ts';
import { readBacklog } from '../store/readBacklog.ts';

interface Probed {
  /** The metrics of the processes that answer requests. */
  render(): Promise<string>;
  /** Whether any of them does. */
  isServing(): boolean;
  log: Log;
}

/**
 * Metrics and probes of the API until the process ends. What is no one process's own is asked beside, over connections of
 * its own: once, however many processes there are, and also while their pools are used up.
 */
export async function serveApiProbes(config: Config, { render, isServing, log }: Probed): Promise<void> {
  if (config.metrics.port === 0) return;
  const db = createDatabase({ ...config.database, connectionsMax: 1 });
  const redis = connectRedis(config.redis, log);
  const shared = createGauges();
  const isDatabaseUp = addBacklog(shared, () => readBacklog(db));
  addFleet(shared, createWorkerRegistry(redis, config.redis.prefix).list);
  await serveProbes({
    config: config.metrics,
    render: async () => (await Promise.all([render(), shared.metrics()])).join('\n'),
    isReady: async () => isServing() && (await isDatabaseUp()),
    log,
  });
}
