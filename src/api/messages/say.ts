import type { Context, MiddlewareHandler } from 'hono';
import { languageDetector } from 'hono/language';
import type { Problem } from '../../domain/problem.ts';
import type { ApiEnv } from '../types.ts';
import { en, type MessageKey, type Messages } from './en.ts';
import { es } from './es.ts';
import { fr } from './fr.ts';
import { ru } from './ru.ts';

export const LANGUAGES: Readonly<Record<string, Messages>> = { en, es, fr, ru };

/** Accept-Language decides; English where it names none of ours. */
const detectLanguage = languageDetector({
  supportedLanguages: Object.keys(LANGUAGES),
  fallbackLanguage: 'en',
  order: ['header'],
  caches: false,
});

/** Sets the language of a request's messages, and tells caches that answers depend on it. */
export const readLanguage: MiddlewareHandler<ApiEnv> = (c, next) =>
  detectLanguage(c, async () => {
    await next();
    // Not c.header(): it makes an answer that exists already anew, with its body as a stream.
    c.res.headers.append('Vary', 'Accept-Language');
  });

type Values = Record<string, string | number>;

/** A message in the language of the request. Its answer names the language; one without messages (output) does not. */
export function say(c: Context<ApiEnv>, key: MessageKey, values: Values = {}): string {
  c.header('Content-Language', c.get('language'));
  const text = (LANGUAGES[c.get('language')] ?? en)[key];
  return text.replaceAll(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** Several problems are joined by a blank. A parameter is named in every language as clients spell it, but for case. */
export function sayProblems(c: Context<ApiEnv>, problems: Problem[]): string {
  return problems.map(({ rule, field, ...values }) => say(c, rule, { field: label(field), ...values })).join(' ');
}

const label = (field: string) => field.charAt(0).toUpperCase() + field.slice(1).replaceAll('_', ' ');
