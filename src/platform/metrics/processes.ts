import type { Worker as ChildProcess } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';

/*
 * Several processes behind one port: the one that started them asks all the others, and adds up. Counts of a process that
 * has died stay in the sum, as they were when it was last asked: a sum that fell would look like a restart of them all.
 */

type Readings = MetricObjectWithValues<MetricValue<string>>[];

const QUESTION = 'report metrics';

const isReport = (message: unknown): message is { metrics: Readings } =>
  typeof message === 'object' && message !== null && 'metrics' in message;

/** In a process that is asked. */
export function reportMetrics(registry: Registry): void {
  process.on('message', (message) => {
    if (message === QUESTION) void registry.getMetricsAsJSON().then((metrics) => process.send?.({ metrics }));
  });
}

/** Whoever has not answered by then counts as it did last. */
const PATIENCE_MS = 2000;

export interface Collector {
  adopt(child: ChildProcess): void;
  /** The sum of all, in Prometheus' text format. */
  collect(): Promise<string>;
}

export function createCollector(): Collector {
  const children = new Map<ChildProcess, Readings>();
  let departed: Readings[] = [];
  const sum = (readings: Readings[]) => AggregatorRegistry.aggregate(readings);

  return {
    adopt(child) {
      children.set(child, []);
      child.on('message', (message: unknown) => {
        if (isReport(message) && children.has(child)) children.set(child, message.metrics);
      });
      child.once('exit', () => {
        departed.push((children.get(child) ?? []).filter(isCumulative));
        children.delete(child);
      });
    },
    async collect() {
      await Promise.all([...children.keys()].map(ask));
      const readings = [...departed, ...children.values()];
      const gone = departed;
      if (gone.length > 1) {
        const total = await sum(gone).getMetricsAsJSON();
        departed = [total, ...departed.slice(gone.length)];
      }
      return sum(readings).metrics();
    },
  };
}

const isCumulative = ({ name, type }: Readings[number]) => {
  // The types name an enumeration that is not there at run time.
  const kind = String(type);
  return name.startsWith('bjr_') && (kind === 'counter' || kind === 'histogram');
};

async function ask(child: ChildProcess): Promise<void> {
  if (!child.isConnected()) return;
  const done = new AbortController();
  const { promise: answered, resolve } = Promise.withResolvers<void>();
  const hear = (message: unknown) => isReport(message) && resolve();
  child.on('message', hear);
  child.once('exit', resolve);
  child.send(QUESTION, (error) => error && resolve());
  await Promise.race([answered, delay(PATIENCE_MS, undefined, { signal: done.signal }).catch(() => {})]);
  done.abort();
  child.off('message', hear);
  child.off('exit', resolve);
}
