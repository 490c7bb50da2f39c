import { invalidAt } from './invalid.ts';

/** A term as it is written: `-tag:&a,"b c"` is negated, its keyword `tag`, its value `&a,b c` with two parts. */
export interface Token {
  text: string;
  /** Of its first character in the expression, from 1. */
  at: number;
  negated: boolean;
  keyword: string;
  /** Null where there is no colon. */
  value: string | null;
  /** The value, cut at the commas that no quotes hold. */
  parts: string[];
}

/** Cuts an expression at the blanks that no double quotes hold. @throws {AppError} invalid: a quote that is not closed */
export function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  for (let at = skipBlanks(expression, 0); at < expression.length; ) {
    const { token, end } = readToken(expression, at);
    tokens.push(token);
    at = skipBlanks(expression, end);
  }
  return tokens;
}

const isBlank = (character: string) => /\s/u.test(character);

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBlank(text.charAt(at))) at += 1;
  return at;
}

function readToken(expression: string, start: number): { token: Token; end: number } {
  const negated = expression.charAt(start) === '-';
  const { pieces, end } = readPieces(expression, negated ? start + 1 : start);
  const colon = pieces.findIndex(({ character, isQuoted }) => character === ':' && !isQuoted);
  const keyword = textOf(colon < 0 ? pieces : pieces.slice(0, colon)).toLowerCase();
  const valuePieces = colon < 0 ? [] : pieces.slice(colon + 1);
  const token = {
    text: expression.slice(start, end),
    at: start + 1,
    negated,
    keyword,
    value: colon < 0 ? null : textOf(valuePieces),
    parts: cutAtCommas(valuePieces),
  };
  return { token, end };
}

interface Piece {
  character: string;
  isQuoted: boolean;
}

const textOf = (pieces: Piece[]) => pieces.map(({ character }) => character).join('');

/** The characters of one term without their quotes; inside quotes a backslash takes the next character as it is. */
function readPieces(expression: string, start: number): { pieces: Piece[]; end: number } {
  const pieces: Piece[] = [];
  let quoteAt = -1;
  let at = start;
  for (; at < expression.length; at++) {
    const character = expression.charAt(at);
    const isQuoted = quoteAt >= 0;
    if (!isQuoted && isBlank(character)) break;
    if (character === '"') quoteAt = isQuoted ? -1 : at;
    else if (isQuoted && character === '\\' && at + 1 < expression.length)
      pieces.push({ character: expression.charAt(++at), isQuoted });
    else pieces.push({ character, isQuoted });
  }
  if (quoteAt >= 0) throw invalidAt('search_quote', quoteAt + 1, expression.slice(quoteAt));
  return { pieces, end: at };
}

function cutAtCommas(pieces: Piece[]): string[] {
  const parts = [''];
  for (const { character, isQuoted } of pieces) {
    if (character === ',' && !isQuoted) parts.push('');
    else parts.push(`${parts.pop()}${character}`);
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}
