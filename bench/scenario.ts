/** A measurement: `npm run bench -- NAME`. It starts what it needs and returns what it found. */
export interface Scenario {
  /** One line for `npm run bench -- --help`. */
  about: string;
  /** About how long it takes by default. */
  minutes: number;
  /** Its own options: help, check and `Options.number` know them from here. */
  options: Record<string, NumberOption>;
  /** Where it starts no database. */
  isWithoutServers?: true;
  measure(options: Options): Promise<Figure[]>;
}

export interface NumberOption {
  /** The default. */
  value: number;
  /** The default of `--quick`, if another. */
  quick?: number;
  /** 1, if nothing else is said. */
  least?: number;
  about?: string;
}

/** A line of the table. */
export interface Figure {
  what: string;
  unit: string;
  value: number;
  /** Measured in the same run, in turns with the value. */
  baseline?: { what: string; value: number };
  /** Of the ratio to the baseline, where there is one, or else of the value. */
  goal?: { atLeast: number } | { atMost: number };
}

export interface Options {
  databaseKind: 'mysql' | 'mariadb';
  /** Rounds of what is measured in turns: the machine's speed changes, the ratio of medians hardly. */
  rounds: number;
  /** To see that it works: few rounds, small numbers; its figures say little. */
  isQuick: boolean;
  /** Of an option that the scenario declares: as given, or its default. */
  number(name: string): number;
  /** Progress, on standard error. */
  say(line: string): void;
}

/** Measures each of several things once a round, one after the other, and returns the medians. */
export async function alternate<Name extends string>(
  options: Options,
  unit: string,
  work: Record<Name, () => Promise<number>>,
): Promise<Record<Name, number>> {
  const wrap = (one: () => Promise<number>) => async (): Promise<Record<string, number>> => ({ [unit]: await one() });
  const found = await alternateAll(options, mapValues(work, wrap));
  return mapValues(found, (figures) => figures[unit] ?? Number.NaN);
}

/** The same, where each tells several numbers. */
export async function alternateAll<Name extends string, Found extends { [key in keyof Found]: number }>(
  { rounds, say }: Options,
  work: Record<Name, () => Promise<Found>>,
): Promise<Record<Name, Found>> {
  const all = mapValues(work, (): Found[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const name of Object.keys(work) as Name[]) {
      const found = await work[name]();
      all[name].push(found);
      const figures = Object.entries<number>(found)
        .filter(([, value]) => !Number.isNaN(value))
        .map(([key, value]) => `${key} ${format(value)}`);
      say(`round ${round}, ${name}: ${figures.join(', ')}`);
    }
  }
  return mapValues(all, (rows) => {
    const [first] = rows;
    if (!first) throw new Error('At least one round is needed');
    return mapValues(first as Record<keyof Found, number>, (_, key) => median(rows.map((row) => row[key]))) as Found;
  });
}

export function mapValues<Key extends PropertyKey, From, To>(
  from: Record<Key, From>,
  map: (value: From, key: Key) => To,
): Record<Key, To> {
  const entries = Object.entries(from) as [Key, From][];
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value, key)])) as Record<Key, To>;
}

/** Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}

export const median = (values: number[]) => percentile(values, 0.5);

export function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.min(sorted.length, Math.ceil(share * sorted.length)) - 1)] ?? Number.NaN;
}

/** Three digits that count. */
export function format(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

export const ratioOf = ({ value, baseline }: Figure) => (baseline ? value / baseline.value : null);

/** Null where there is no goal. */
export function isMet(figure: Figure): boolean | null {
  const { goal } = figure;
  if (!goal) return null;
  const judged = ratioOf(figure) ?? figure.value;
  return 'atLeast' in goal ? judged >= goal.atLeast : judged <= goal.atMost;
}
