import type { Registry } from 'prom-client';
import { monotonicMs } from '../clock.ts';
import { addGauge } from './gauge.ts';
import { createSample } from './sample.ts';

/** What waits, by the database. */
export interface Backlog {
  /** Jobs that could be claimed now, counted up to 10,000. */
  dueJobs: number;
  /** How long the first of them has been waiting. */
  dueSeconds: number;
  /** How long ago an occurrence passed that no leader has marked. */
  unmarkedSeconds: number;
  /** Callbacks not delivered yet, counted up to 10,000. */
  pendingCallbacks: number;
  /** How long the first of them has waited beyond its time. */
  overdueCallbackSeconds: number;
  databaseNowMs: number;
}

/** Scrapes that follow each other faster than this are told the same. */
const KEEP_MS = 5000;
const PATIENCE_MS = 2000;

/** Returns whether the database answers, for the probe of readiness: asked as rarely as for the metrics. */
export function addBacklog(registry: Registry, read: () => Promise<Backlog>): () => Promise<boolean> {
  const sample = createSample(
    async () => {
      const askedAtMs = Date.now();
      const backlog = await read();
      return { ...backlog, skewMs: (askedAtMs + Date.now()) / 2 - backlog.databaseNowMs };
    },
    { keepMs: KEEP_MS, patienceMs: PATIENCE_MS, monotonic: monotonicMs },
  );
  const add = (name: string, help: string, of: (sampled: Backlog & { skewMs: number }) => number) =>
    addGauge(registry, {
      name,
      help,
      read: async () => {
        const sampled = await sample();
        return sampled && of(sampled);
      },
    });
  add('bjr_due_jobs', 'Jobs that could be claimed now, counted up to 10000.', ({ dueJobs }) => dueJobs);
  add('bjr_due_oldest_seconds', 'How long the first due job has been waiting.', ({ dueSeconds }) => dueSeconds);
  add(
    'bjr_unmarked_oldest_seconds',
    'How long ago an occurrence passed that no leader has marked as due.',
    ({ unmarkedSeconds }) => unmarkedSeconds,
  );
  add(
    'bjr_callbacks_pending',
    'Callbacks that are not delivered yet, counted up to 10000.',
    ({ pendingCallbacks }) => pendingCallbacks,
  );
  add(
    'bjr_callbacks_overdue_seconds',
    'How long the first callback has waited beyond its time.',
    ({ overdueCallbackSeconds }) => overdueCallbackSeconds,
  );
  add('bjr_clock_skew_seconds', "This node's clock minus the database's.", ({ skewMs }) => skewMs / 1000);
  const isUp = async () => (await sample()) !== null;
  addGauge(registry, {
    name: 'bjr_database_up',
    help: '1 where the database answers within two seconds.',
    read: async () => Number(await isUp()),
  });
  return isUp;
}
