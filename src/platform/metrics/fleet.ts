import type { Registry } from 'prom-client';
import { addLabelledGauge } from './gauge.ts';

/** The living workers, as Redis has them; `list` is null while it is away. */
export function addFleet(registry: Registry, list: () => Promise<{ isQuiet: boolean }[] | null>): void {
  addLabelledGauge(registry, {
    name: 'bjr_workers',
    help: 'Workers that are alive, by their heartbeats; quiet ones claim nothing.',
    label: 'state',
    read: async () => {
      const workers = await list();
      if (!workers) return null;
      const quiet = workers.filter(({ isQuiet }) => isQuiet).length;
      return { claiming: workers.length - quiet, quiet };
    },
  });
}
