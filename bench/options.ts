import { parseArgs } from 'node:util';
import type { Options, Scenario } from './scenario.ts';

/** What the command line asks for. */
export interface Asked {
  isHelp: boolean;
  scenarios: [name: string, scenario: Scenario][];
  databaseKind: Options['databaseKind'];
  isQuick: boolean;
  markdown: string | undefined;
  optionsOf(scenario: Scenario): Options;
}

/** A command line that cannot be right. */
export class UsageError extends Error {}

const ROUNDS = 5;

const COMMON = {
  help: { type: 'boolean' },
  quick: { type: 'boolean' },
  mariadb: { type: 'boolean' },
  rounds: { type: 'string' },
  markdown: { type: 'string' },
} as const;

export function readOptions(args: string[], all: Record<string, Scenario>): Asked {
  const { values, positionals } = parse(args, all);
  const unknown = positionals.find((name) => !Object.hasOwn(all, name));
  if (unknown !== undefined) throw new UsageError(`There is no measurement '${unknown}'`);
  const scenarios = Object.entries(all).filter(([name]) => positionals.length === 0 || positionals.includes(name));
  const [isQuick, databaseKind] = [values['quick'] === true, values['mariadb'] ? 'mariadb' : 'mysql'] as const;
  const numbers = new Map<string, number>();
  for (const [name, text] of Object.entries(values)) {
    if (typeof text !== 'string' || name === 'markdown') continue;
    const owners = scenarios.flatMap(([, { options }]) => options[name] ?? []);
    if (name !== 'rounds' && owners.length === 0)
      throw new UsageError(`--${name} is no option of ${positionals.join(', ')}`);
    numbers.set(
      name,
      readNumber(name, text, Math.max(0, ...owners.map(({ least = 1 }) => least), name === 'rounds' ? 1 : 0)),
    );
  }
  if (values['markdown'] === '') throw new UsageError('--markdown needs a file');
  const rounds = numbers.get('rounds') ?? (isQuick ? 1 : ROUNDS);
  const optionsOf = ({ options }: Scenario): Options => ({
    databaseKind,
    rounds,
    isQuick,
    number(name) {
      const option = options[name];
      if (!option) throw new Error(`The measurement does not declare --${name}`);
      return numbers.get(name) ?? (isQuick ? (option.quick ?? option.value) : option.value);
    },
    say: (line) => console.error(`${new Date().toISOString().slice(11, 19)} ${line}`),
  });
  const markdown = typeof values['markdown'] === 'string' ? values['markdown'] : undefined;
  return { isHelp: values['help'] === true, scenarios, databaseKind, isQuick, markdown, optionsOf };
}

function parse(args: string[], all: Record<string, Scenario>) {
  const names = Object.values(all).flatMap((scenario) => Object.keys(scenario.options));
  const own = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  try {
    const { values, positionals } = parseArgs({ args, options: { ...own, ...COMMON }, allowPositionals: true });
    return { values: values as Record<string, string | boolean | undefined>, positionals };
  } catch (error) {
    // Its first sentence names the option; the others are about positional arguments.
    const [sentence = ''] = (error as Error).message.split(/[.\n]/);
    const [name] = /--[\w-]+/.exec(sentence) ?? [];
    const isWithoutValue = /missing|ambiguous/.test(sentence);
    throw new UsageError(isWithoutValue ? `${name} needs a value` : sentence);
  }
}

function readNumber(name: string, text: string, least: number): number {
  if (!/^\d+$/.test(text) || Number(text) < least)
    throw new UsageError(`--${name} needs a whole number of at least ${least}, not '${text}'`);
  return Number(text);
}

export function helpText(all: Record<string, Scenario>): string {
  const total = Object.values(all).reduce((sum, { minutes }) => sum + minutes, 0);
  return [
    'npm run bench -- [NAME…] [OPTION…]',
    '',
    `Measures, and prints a table with the baselines of the same run. Without a name: all, about ${total} minutes.`,
    '',
    '  --quick           to see that it works: one round, small numbers; what it finds says little',
    `  --rounds N        of what is measured in turns (${ROUNDS}; with --quick 1)`,
    '  --mariadb         MariaDB instead of MySQL',
    '  --markdown FILE   append the tables to a file',
    '  --help            this',
    '',
    'Measurements, about how long they take, and their own options (in brackets: with --quick)',
    '',
    ...Object.entries(all).map(describeScenario),
    '',
    'Exit code: 0 measured, whether or not goals are met; 1 failed; 2 wrong command line; 130 or 143 stopped by a signal.',
  ].join('\n');
}

function describeScenario([name, { about, minutes, options }]: [string, Scenario]): string {
  const own = Object.entries(options).map(
    ([option, { value, quick = value, about: note }]) =>
      `${' '.repeat(14)}--${option} ${value}${quick === value ? '' : ` (${quick})`}${note ? `, ${note}` : ''}`,
  );
  return [`  ${name.padEnd(10)}  ${about}; ${minutes} min`, ...own].join('\n');
}
