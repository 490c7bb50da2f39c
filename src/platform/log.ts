import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { explainError } from './explainError.ts';

export type Log = Logger;

const SECRET_FIELDS = ['password', 'passwordDigest', 'secret', 'token', 'authorization', 'command', 'stdout', 'stderr'];

/** Structured lines on standard output: JSON, or readable ones. Fields that could hold a secret are never written. */
export function createLog(options: { level: string; format: 'json' | 'pretty' }): Log {
  const redact = { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '[hidden]' };
  const settings = { level: options.level, base: null, redact, timestamp: isoTime, serializers: { err: explainError } };
  if (options.format === 'json') return pino(settings);
  return pino(settings, pretty({ sync: true, singleLine: true, ignore: 'workerId', translateTime: 'SYS:HH:MM:ss.l' }));
}

const isoTime = () => `,"time":"${new Date().toISOString()}"`;
