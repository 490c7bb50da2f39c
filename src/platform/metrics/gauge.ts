import { Gauge, type Registry } from 'prom-client';

interface GaugeOptions {
  name: string;
  help: string;
  /** What the value of several processes is; their sum where it is not said. */
  aggregator?: 'sum' | 'min';
  /** Asked at every scrape. Null: nobody can tell, and the scrape leaves it out. */
  read(): number | null | Promise<number | null>;
}

/** A value that is read when somebody looks at it. */
export function addGauge(registry: Registry, { name, help, aggregator = 'sum', read }: GaugeOptions): void {
  const gauge = new Gauge({
    name,
    help,
    aggregator,
    registers: [],
    async collect() {
      const value = await read();
      if (value === null) this.remove();
      else this.set(value);
    },
  });
  registry.registerMetric(gauge);
}

interface LabelledGaugeOptions {
  name: string;
  help: string;
  label: string;
  /** The values by the label's; null as above. */
  read(): Record<string, number> | null | Promise<Record<string, number> | null>;
}

export function addLabelledGauge(registry: Registry, { name, help, label, read }: LabelledGaugeOptions): void {
  const gauge = new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [],
    async collect() {
      const values = await read();
      this.reset();
      for (const [kind, value] of Object.entries(values ?? {})) this.set({ [label]: kind }, value);
    },
  });
  registry.registerMetric(gauge);
}
