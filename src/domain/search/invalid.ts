import { AppError } from '../errors.ts';
import type { Rule } from '../problem.ts';

/** An expression that cannot be read: which rule it breaks, at which character (from 1), and with what. */
export function invalidAt(rule: Rule, at: number, text: string): AppError {
  const problem = { rule, field: 'expression', limit: at, value: text.slice(0, 100) };
  return new AppError({ code: 'invalid', problems: [problem] });
}
