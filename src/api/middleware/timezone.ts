import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { resolveTimezone } from '../../domain/timezone.ts';
import { textOf } from '../inputs.ts';
import type { ApiEnv } from '../types.ts';

/** Any request may name the zone in which its answer's dates are written. */
export const readTimezone: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const name = textOf(c.get('params'), 'timezone') || 'UTC';
  const timezone = resolveTimezone(name);
  if (timezone === undefined) throw new AppError({ code: 'invalid_timezone', timezone: name });
  c.set('timezone', timezone);
  await next();
};
