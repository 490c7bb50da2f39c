import type { Registry } from 'prom-client';
import { addGauge } from './gauge.ts';

/** How a worker stands at the moment. */
interface Standing {
  slots: number;
  busy(): number;
  isQuiet(): boolean;
  isLeading(): boolean;
  /** Outcomes on its disk. */
  kept(): Promise<number | null>;
}

export function addWorker(registry: Registry, { slots, busy, isQuiet, isLeading, kept }: Standing): void {
  const add = (name: string, help: string, read: () => number | Promise<number | null>) =>
    addGauge(registry, { name, help, read });
  add('bjr_slots', 'Commands that this worker runs at a time (WORKER_CONCURRENCY).', () => slots);
  add('bjr_slots_busy', 'Runs that this worker has under way.', busy);
  add('bjr_worker_quiet', '1 where this worker claims nothing: it is quiesced, or draining.', () => Number(isQuiet()));
  add('bjr_leading', '1 where this worker is the leader.', () => Number(isLeading()));
  add('bjr_outcomes_on_disk', 'Outcomes in the spool that the database has not taken yet.', kept);
}
