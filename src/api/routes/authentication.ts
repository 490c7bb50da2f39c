import type { Context } from 'hono';
import { AppError, type Failure } from '../../domain/errors.ts';
import { authenticate } from '../../services/authenticate.ts';
import { clientAddress } from '../clientAddress.ts';
import { textOf } from '../inputs.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation } from '../operation.ts';
import { retryHeaders } from '../schemas/common.ts';
import { AuthIn, AuthOut } from '../schemas/users.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

export function addAuthentication(api: Api, parts: ApiParts): void {
  addOperation(
    api,
    {
      method: 'post',
      path: '/authenticate',
      operationId: 'authenticateUser',
      tag: 'Authentication',
      summary: 'Exchanges a name and password for a token',
      isPublic: true,
      body: AuthIn,
      responses: {
        200: { description: 'A token', schema: AuthOut },
        401: { description: 'Invalid credentials', schema: AuthOut },
        422: { description: 'A field has a value that cannot be' },
        429: {
          description: 'Too many failed attempts; Retry-After says when to try again',
          schema: AuthOut,
          headers: retryHeaders,
        },
      },
    },
    [],
    (c) => signIn(c, parts),
  );
}

/** The one answer without the envelope. */
async function signIn(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const params = c.get('params');
  const address = clientAddress(c, parts.trustedProxies);
  const credentials = { username: textOf(params, 'username') ?? '', password: textOf(params, 'password') ?? '' };
  try {
    const { token, userId } = await authenticate(parts, { ...credentials, address });
    const message = say(c, 'signed_in');
    return c.json({ user_id: userId, auth_token: token, message, is_error: false, status_code: 200 }, 200);
  } catch (error) {
    if (error instanceof AppError) return refuse(c, error.failure);
    throw error;
  }
}

function refuse(c: Context<ApiEnv>, failure: Failure): Response {
  const isEarly = failure.code === 'too_many_attempts';
  if (isEarly) c.header('Retry-After', String(failure.seconds));
  const [message, status] = isEarly
    ? ([say(c, failure.code, { seconds: failure.seconds }), 429] as const)
    : ([say(c, 'invalid_credentials'), 401] as const);
  return c.json({ user_id: null, auth_token: '', message, is_error: true, status_code: status }, status);
}
