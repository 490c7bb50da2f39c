import { AppError } from '../errors.ts';
import { canonicalZone } from '../timezone.ts';
import { invalidAt } from './invalid.ts';
import type { Condition, State, TagMatch, Term } from './term.ts';
import { type Token, tokenize } from './tokenize.ts';

export interface ParseOptions {
  /** Reads the value of `start_date:` and `end_date:`; undefined where it is no date. */
  readDate(text: string): Date | undefined;
}

/**
 * Reads a search expression: terms separated by blanks, all of which must hold; `-` in front of one negates it.
 * @throws {AppError} invalid, with the character at which it goes wrong
 */
export function parseExpression(expression: string, { readDate }: ParseOptions): Term[] {
  const tokens = tokenize(expression);
  const dates = tokens.filter(({ keyword, value }) => keyword in DATE_KEYWORDS && value !== null);
  const terms = tokens.filter((token) => !dates.includes(token)).map(readTerm);
  return dates.length > 0 ? [...terms, readBetween(dates, readDate)] : terms;
}

const STATES: Readonly<Record<string, State>> = nullPrototype({
  running: 'running',
  executing: 'running',
  stopped: 'stopped',
  enabled: 'enabled',
  disabled: 'disabled',
  succeeded: 'succeeded',
  success: 'succeeded',
  successful: 'succeeded',
  failed: 'failed',
  fail: 'failed',
  failing: 'failed',
  broken: 'failed',
});

const VALUE_KEYWORDS: Readonly<Record<string, (token: Token, value: string) => Condition>> = nullPrototype({
  name: (_, text) => ({ kind: 'name', text }),
  command: (_, text) => ({ kind: 'command', text }),
  cmd: (_, text) => ({ kind: 'command', text }),
  timezone: readZone,
  tz: readZone,
  tag: readTags,
  tags: readTags,
});

const DATE_KEYWORDS = nullPrototype({ start_date: true, end_date: true });

/** Keywords come from users: `constructor` is none. */
function nullPrototype<T extends object>(table: T): T {
  return Object.assign(Object.create(null), table);
}

function readTerm(token: Token): Term {
  const { keyword, value, negated } = token;
  const state = value === null ? STATES[keyword] : undefined;
  if (state) return { kind: state, negated };
  const read = VALUE_KEYWORDS[keyword];
  const isDate = keyword in DATE_KEYWORDS;
  if ((!read && !isDate) || (value === null && !read && !isDate)) throw unknown(token);
  if (!read || !value) throw invalidAt('search_value', token.at, token.text);
  return { ...read(token, value), negated };
}

function unknown({ text, negated, at }: Token): AppError {
  return invalidAt('unknown_term', at, negated ? text.slice(1) : text);
}

function readZone(token: Token, value: string): Condition {
  const zone = canonicalZone(value);
  if (zone === undefined) throw invalidAt('search_zone', token.at, value);
  return { kind: 'timezone', zone };
}

const TAG_MATCHES: Readonly<Record<string, TagMatch>> = nullPrototype({ '|': 'any', '&': 'exactly', '!': 'none' });

function readTags({ parts, at, text }: Token): Condition {
  const [first = '', ...rest] = parts;
  const match = TAG_MATCHES[first.charAt(0)];
  const names = [match ? first.slice(1).trim() : first, ...rest].filter(Boolean);
  if (names.length === 0) throw invalidAt('search_value', at, text);
  return { kind: 'tags', match: match ?? 'any', names };
}

function readBetween(tokens: Token[], readDate: ParseOptions['readDate']): Term {
  const [first] = tokens;
  const [start, end] = ['start_date', 'end_date'].map((name) => tokens.filter(({ keyword }) => keyword === name));
  const isPair = tokens.length === 2 && start?.length === 1 && end?.length === 1;
  if (!first || !isPair || tokens.some(({ negated }) => negated !== first.negated)) {
    throw invalidAt('search_dates', first?.at ?? 1, tokens.map(({ text }) => text).join(' '));
  }
  const [from, until] = [start[0], end[0]].map((token) => dateOf(token, readDate));
  if (!from || !until) throw invalidAt('search_dates', first.at, '');
  return { kind: 'between', from, until, negated: first.negated };
}

function dateOf(token: Token | undefined, readDate: ParseOptions['readDate']): Date | undefined {
  if (!token?.value) throw invalidAt('search_value', token?.at ?? 1, token?.text ?? '');
  const date = readDate(token.value);
  if (!date) {
    const problem = { rule: 'not_a_date' as const, field: token.keyword, value: token.value.slice(0, 100) };
    throw new AppError({ code: 'invalid', problems: [problem] });
  }
  return date;
}
