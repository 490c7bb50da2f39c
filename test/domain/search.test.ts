import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/domain/errors.ts';
import { parseLocalDate } from '../../src/domain/localDate.ts';
import { parseExpression } from '../../src/domain/search/parse.ts';

const parse = (expression: string) =>
  parseExpression(expression, { readDate: (text) => parseLocalDate(text, 'UTC') ?? undefined });
const problemOf = (expression: string) => {
  try {
    return parse(expression);
  } catch (error) {
    if (error instanceof AppError && error.failure.code === 'invalid') return error.failure.problems[0];
    throw error;
  }
};
const yes = { negated: false };

describe('an expression', () => {
  test.each([
    ['', []],
    ['  \t ', []],
    ['name:x', [{ kind: 'name', text: 'x', ...yes }]],
    [
      'cmd:a:b command:c',
      [
        { kind: 'command', text: 'a:b', ...yes },
        { kind: 'command', text: 'c', ...yes },
      ],
    ],
    ['name:"nightly backup"', [{ kind: 'name', text: 'nightly backup', ...yes }]],
    ['name:"say \\"hi\\""', [{ kind: 'name', text: 'say "hi"', ...yes }]],
    ['-name:-x', [{ kind: 'name', text: '-x', negated: true }]],
    ['tag:a,b', [{ kind: 'tags', match: 'any', names: ['a', 'b'], ...yes }]],
    ['tags:|a,b', [{ kind: 'tags', match: 'any', names: ['a', 'b'], ...yes }]],
    ['tag:&a,b', [{ kind: 'tags', match: 'exactly', names: ['a', 'b'], ...yes }]],
    ['tag:!a', [{ kind: 'tags', match: 'none', names: ['a'], ...yes }]],
    ['tag:"two words","a,b",c', [{ kind: 'tags', match: 'any', names: ['two words', 'a,b', 'c'], ...yes }]],
    ['tz:"Eastern Time (US & Canada)"', [{ kind: 'timezone', zone: 'America/New_York', ...yes }]],
    ['timezone:us/eastern', [{ kind: 'timezone', zone: 'America/New_York', ...yes }]],
    [
      'RUNNING executing stopped',
      [
        { kind: 'running', ...yes },
        { kind: 'running', ...yes },
        { kind: 'stopped', ...yes },
      ],
    ],
    [
      '-enabled disabled',
      [
        { kind: 'enabled', negated: true },
        { kind: 'disabled', ...yes },
      ],
    ],
    ['succeeded success successful', Array.from({ length: 3 }, () => ({ kind: 'succeeded', ...yes }))],
    ['failed fail failing broken', Array.from({ length: 4 }, () => ({ kind: 'failed', ...yes }))],
    [
      'end_date:2026-01-02 enabled start_date:"2026-01-01 10:00"',
      [
        { kind: 'enabled', ...yes },
        { kind: 'between', from: new Date('2026-01-01T10:00Z'), until: new Date('2026-01-02T00:00Z'), ...yes },
      ],
    ],
  ])('%j', (expression, terms) => expect(parse(expression)).toEqual(terms));

  test.each([
    ['nmae:x', { rule: 'unknown_term', value: 'nmae:x', limit: 1 }],
    ['enabled  -oops', { rule: 'unknown_term', value: 'oops', limit: 10 }],
    ['constructor', { rule: 'unknown_term', value: 'constructor' }],
    ['__proto__:x', { rule: 'unknown_term', value: '__proto__:x' }],
    ['running:yes', { rule: 'unknown_term', value: 'running:yes' }],
    ['"name:x"', { rule: 'unknown_term' }],
    ['enabled tag:', { rule: 'search_value', value: 'tag:', limit: 9 }],
    ['tag:,', { rule: 'search_value' }],
    ['tag:!', { rule: 'search_value' }],
    ['name', { rule: 'search_value', value: 'name', limit: 1 }],
    ['name:', { rule: 'search_value' }],
    ['name: x', { rule: 'search_value' }],
    ['enabled name:"x y', { rule: 'search_quote', limit: 14 }],
    ['tz:Nowhere', { rule: 'search_zone', value: 'Nowhere', limit: 1 }],
    ['start_date:2026-01-01', { rule: 'search_dates' }],
    ['start_date', { rule: 'search_value' }],
    ['start_date:2026-01-01 -end_date:2026-01-02', { rule: 'search_dates' }],
    ['start_date:soonish end_date:2026-01-02', { rule: 'not_a_date', field: 'start_date', value: 'soonish' }],
  ])('%j is refused', (expression, problem) => expect(problemOf(expression)).toMatchObject(problem));

  test('of any text is read or refused at a place inside it', () => {
    const word = fc.constantFrom(
      'name:',
      'tag:&',
      '"',
      '-',
      ' ',
      'start_date:',
      'running',
      ',',
      '\\',
      'é',
      ':',
      '2026-01-01',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join('')),
        ),
        (text) => {
          const found = problemOf(text);
          if (Array.isArray(found) || found?.rule === 'not_a_date') return;
          expect(found?.limit).toBeGreaterThanOrEqual(1);
          expect(found?.limit).toBeLessThanOrEqual(text.length);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('takes back what was quoted into it', () => {
    const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        expect(parse(`enabled name:${quoted(text)} failed`)[1]).toEqual({ kind: 'name', text, ...yes });
      }),
    );
  });
});
