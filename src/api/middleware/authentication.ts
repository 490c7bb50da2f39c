import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { identify } from '../../services/authenticate.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

/** The last word of the Authorization header is the token: `TOKEN`, `Bearer TOKEN`. */
export function requireCaller(parts: ApiParts): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const token = c.req.header('authorization')?.trim().split(/\s+/).at(-1);
    if (!token) throw new AppError({ code: 'not_authorized' });
    c.set('caller', await identify(parts, token));
    await next();
  };
}
