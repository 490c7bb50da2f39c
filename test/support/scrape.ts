import { findFreePort } from '../../src/embedded/port.ts';

/** A sample of a scrape. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

/** Settings for a process whose metrics are to be read, and how to read them. */
export async function probed(): Promise<{ settings: Record<string, string>; probe: Probe }> {
  const port = await findFreePort();
  const probe: Probe = {
    get: (path) => fetch(`http://127.0.0.1:${port}${path}`),
    async scrape() {
      const response = await probe.get('/metrics');
      if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
      return parseExposition(await response.text());
    },
    async value(name, labels = {}) {
      return sumOf(await probe.scrape(), name, labels);
    },
  };
  return { settings: { METRICS_PORT: String(port) }, probe };
}

export interface Probe {
  get(path: string): Promise<Response>;
  scrape(): Promise<Map<string, Family>>;
  /** The sum of the samples with these labels; undefined where there is none. */
  value(name: string, labels?: Record<string, string>): Promise<number | undefined>;
}

export function sumOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}) {
  const samples = [...families.values()].flatMap((family) => family.samples);
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/.source;
const HEADER = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(?:,|$)/gy;

/**
 * The text format, read strictly: every family has its help and type before its samples, stands once and in one piece, no
 * sample twice; histograms are cumulative, with a sum and a count that is their last bucket's.
 * @throws what is wrong
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('The last line has no end');
  const families = new Map<string, Family>();
  let current: { name: string; family: Family } | undefined;
  const seen = new Set<string>();
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, kind, name = '', rest = ''] = HEADER.exec(line) ?? [];
    if (kind === 'HELP') {
      if (families.has(name)) throw new Error(`${name} stands twice`);
      current = { name, family: { type: '', help: rest, samples: [] } };
      families.set(name, current.family);
    } else if (kind === 'TYPE') {
      if (current?.name !== name) throw new Error(`The type of ${name} does not follow its help`);
      current.family.type = rest;
    } else {
      const sample = parseSample(line);
      if (!current?.family.type || !belongs(sample.name, current)) throw new Error(`Out of place: ${line}`);
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).toSorted())}`;
      if (seen.has(key)) throw new Error(`Twice: ${line}`);
      seen.add(key);
      current.family.samples.push(sample);
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function parseSample(line: string): Sample {
  const [, name, labelText = '', number = ''] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`Not a sample: ${line}`);
  const labels: Record<string, string> = {};
  let read = 0;
  for (const [whole, label = '', value = ''] of labelText.matchAll(LABEL)) {
    if (label in labels) throw new Error(`A label twice: ${line}`);
    labels[label] = value;
    read += whole.length;
  }
  if (read !== labelText.length) throw new Error(`Labels that cannot be read: ${line}`);
  const value = number === '+Inf' ? Infinity : number === '-Inf' ? -Infinity : Number(number);
  // Prometheus reads it in any case of letters, and prom-client writes one of its own.
  if (Number.isNaN(value) && number.toLowerCase() !== 'nan') throw new Error(`Not a number: ${line}`);
  return { name, labels, value };
}

function belongs(sample: string, { name, family }: { name: string; family: Family }): boolean {
  if (family.type === 'histogram') return ['_bucket', '_sum', '_count'].some((suffix) => sample === name + suffix);
  if (family.type === 'summary') return [name, `${name}_sum`, `${name}_count`].includes(sample);
  return sample === name;
}

function checkFamily(name: string, { type, samples }: Family): void {
  if (!['counter', 'gauge', 'histogram', 'summary'].includes(type)) throw new Error(`${name} has the type ${type}`);
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`);
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is negative`);
  if (type !== 'histogram') return;
  const series = Map.groupBy(samples, ({ labels }) => JSON.stringify(Object.entries({ ...labels, le: '' }).toSorted()));
  for (const each of series.values()) {
    const buckets = each.filter((sample) => sample.name === `${name}_bucket`);
    const isRising = buckets.every(({ value }, index) => value >= (buckets[index - 1]?.value ?? 0));
    const last = buckets.at(-1);
    const count = each.find((sample) => sample.name === `${name}_count`)?.value;
    if (!isRising || last?.labels['le'] !== '+Inf' || last.value !== count) throw new Error(`${name} does not add up`);
  }
}
