import type { MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { identify } from '../../services/authenticate.ts';
import { clientAddress } from '../clientAddress.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

/** The last word of the Authorization header is the token: `TOKEN`, `Bearer TOKEN`. */
export function requireCaller(parts: ApiParts): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const token = c.req.header('authorization')?.trim().split(/\s+/).at(-1);
    if (!token) throw new AppError({ code: 'not_authorized' });
    const address = clientAddress(c, parts.trustedProxies);
    c.set('caller', await identify(parts, { token, address }));
    c.set('isStillCaller', () =>
      identify(parts, { token, address }).then(
        () => true,
        (error: unknown) => !(error instanceof AppError),
      ),
    );
    await next();
  };
}
