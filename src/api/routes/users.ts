import type { Context, MiddlewareHandler } from 'hono';
import * as users from '../../services/users.ts';
import type { User } from '../../store/users.ts';
import { send } from '../envelope.ts';
import { pathIdOf, textOf } from '../inputs.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { idempotencyOf, setReplayed } from '../preconditions.ts';
import {
  deletedSince,
  id,
  idempotencyKey,
  page,
  pagingHeaders,
  perPage,
  replayHeaders,
  retryHeaders,
} from '../schemas/common.ts';
import { SingleUserMessage, toSingleUser, UserArrayMessage, UserNewIn, UserUpdateIn } from '../schemas/users.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

const tag = 'Users';
const aUser = { description: 'The user', schema: SingleUserMessage };
const notFound = { description: 'User not found' };
const invalid = { description: 'A field has a value that cannot be' };
const busy = { description: 'Too many passwords are being computed', headers: retryHeaders };
const refused = { description: 'The change is refused; the message says why' };

export function addUsers(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  addOperation(
    api,
    {
      method: 'get',
      path: '/user_api',
      operationId: 'getUsers',
      tag,
      summary: 'Lists users: itself for a user, everyone for root',
      query: { per_page: perPage, page },
      responses: { 200: { description: 'Users', schema: UserArrayMessage, headers: pagingHeaders } },
    },
    guards,
    async (c) => {
      const found = await users.listUsers(parts, c.get('caller'), readPage(c));
      setPagingHeaders(c, found.total);
      const object = found.users.map((user) => toSingleUser(user, c.get('timezone')));
      return send(c, { message: say(c, 'users_received'), object, objectType: 'userarray' });
    },
  );
  addOperation(
    api,
    {
      method: 'post',
      path: '/user_api',
      operationId: 'createUser',
      tag,
      summary: 'Creates a user (root only)',
      body: UserNewIn,
      headers: { 'Idempotency-Key': idempotencyKey },
      responses: {
        201: { ...aUser, headers: replayHeaders },
        403: refused,
        404: deletedSince,
        422: invalid,
        429: busy,
      },
    },
    guards,
    async (c) => {
      const username = textOf(c.get('params'), 'username') ?? '';
      const request = {
        user: { username, ...newPasswordOf(c) },
        idempotency: idempotencyOf(c, ['password', 'password_confirmation']),
      };
      const { user, isReplay } = await users.createUser(parts, c.get('caller'), request);
      setReplayed(c, isReplay);
      return sendUser(c, user, { status: 201, message: say(c, 'user_created', { id: user.id }) });
    },
  );
  for (const method of ['put', 'patch'] as const) {
    addOperation(
      api,
      {
        method,
        path: '/user_api/{id}',
        operationId: method === 'put' ? 'updateUser' : 'patchUser',
        tag,
        summary: "Changes a user's password, which revokes the user's tokens",
        params: { id },
        body: UserUpdateIn,
        responses: {
          200: aUser,
          403: refused,
          404: notFound,
          422: invalid,
          429: busy,
        },
      },
      guards,
      async (c) => {
        const user = await users.updateUser(parts, c.get('caller'), userIdOf(c), newPasswordOf(c));
        return sendUser(c, user, { message: say(c, 'user_updated', { id: user.id }) });
      },
    );
  }
  addOperation(
    api,
    {
      method: 'get',
      path: '/user_api/{id}',
      operationId: 'getUser',
      tag,
      summary: 'Shows a user',
      params: { id },
      responses: { 200: aUser, 404: notFound },
    },
    guards,
    async (c) =>
      sendUser(c, await users.getUser(parts, c.get('caller'), userIdOf(c)), { message: say(c, 'users_received') }),
  );
  addOperation(
    api,
    {
      method: 'delete',
      path: '/user_api/{id}',
      operationId: 'deleteUser',
      tag,
      summary: 'Deletes a user with all that is theirs (root only)',
      params: { id },
      responses: { 200: aUser, 403: refused, 404: notFound },
    },
    guards,
    async (c) => {
      const user = await users.deleteUser(parts, c.get('caller'), userIdOf(c));
      return sendUser(c, user, { message: say(c, 'user_deleted', { id: user.id }) });
    },
  );
}

const userIdOf = (c: Context<ApiEnv>) => pathIdOf(c, 'user_not_found');

function newPasswordOf(c: Context<ApiEnv>): users.NewPassword {
  const params = c.get('params');
  return {
    password: textOf(params, 'password') ?? '',
    confirmation: textOf(params, 'password_confirmation') ?? '',
  };
}

function sendUser(c: Context<ApiEnv>, user: User, { status = 200, message }: { status?: 200 | 201; message: string }) {
  return send(c, { status, message, object: toSingleUser(user, c.get('timezone')), objectType: 'user' });
}
