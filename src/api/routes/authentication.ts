import type { Context } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { authenticate } from '../../services/authenticate.ts';
import { textOf } from '../inputs.ts';
import { type Api, addOperation } from '../operation.ts';
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
      },
    },
    [],
    (c) => signIn(c, parts),
  );
}

/** The one answer without the envelope. */
async function signIn(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const params = c.get('params');
  const credentials = { username: textOf(params, 'username') ?? '', password: textOf(params, 'password') ?? '' };
  try {
    const { token, userId } = await authenticate(parts, credentials);
    const message = 'User authenticated successfully.';
    return c.json({ user_id: userId, auth_token: token, message, is_error: false, status_code: 200 }, 200);
  } catch (error) {
    if (!(error instanceof AppError && error.failure.code === 'invalid_credentials')) throw error;
    const message = 'Invalid credentials';
    return c.json({ user_id: null, auth_token: '', message, is_error: true, status_code: 401 }, 401);
  }
}
