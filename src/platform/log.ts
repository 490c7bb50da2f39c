import { createRequire } from 'node:module';
import { type Logger, pino } from 'pino';
import type * as PinoPretty from 'pino-pretty';
import { explainError } from './explainError.ts';

export type Log = Logger;

const SECRET_FIELDS = ['password', 'passwordDigest', 'secret', 'token', 'authorization', 'command', 'stdout', 'stderr'];

/** Structured lines on standard output: JSON, or readable ones. Fields that could hold a secret are never written. */
export function createLog(options: { level: string; format: 'json' | 'pretty' }): Log {
  const redact = { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '[hidden]' };
  const settings = { level: options.level, base: null, redact, timestamp: isoTime, serializers: { err: explainError } };
  if (options.format === 'json') return pino(settings);
  // Loaded where it is asked for: 3 MB.
  const { build } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  return pino(settings, build({ sync: true, singleLine: true, ignore: 'workerId', translateTime: 'SYS:HH:MM:ss.l' }));
}

const isoTime = () => `,"time":"${new Date().toISOString()}"`;
