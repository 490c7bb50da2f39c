import type { Context, MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import * as users from '../../services/users.ts';
import type { User } from '../../store/users.ts';
import { send } from '../envelope.ts';
import { idOf, textOf } from '../inputs.ts';
import { type Api, addOperation } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { id, page, pagingHeaders, perPage } from '../schemas/common.ts';
import { SingleUserMessage, toSingleUser, UserArrayMessage, UserNewIn, UserUpdateIn } from '../schemas/users.ts';
import type { ApiEnv, ApiParts } from '../types.ts';

const tag = 'Users';
const aUser = { description: 'The user', schema: SingleUserMessage };
const notFound = { description: 'User not found' };
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
      return send(c, { message: RECEIVED, object, objectType: 'userarray' });
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
      responses: { 201: aUser, 403: refused, 422: { description: 'A field has a value that cannot be' } },
    },
    guards,
    async (c) => {
      const username = textOf(c.get('params'), 'username') ?? '';
      const user = await users.createUser(parts, c.get('caller'), { username, ...newPasswordOf(c) });
      return sendUser(c, user, { status: 201, message: `User ${user.id} created successfully.` });
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
          422: { description: 'A field has a value that cannot be' },
        },
      },
      guards,
      async (c) => {
        const user = await users.updateUser(parts, c.get('caller'), userIdOf(c), newPasswordOf(c));
        return sendUser(c, user, { message: `User ${user.id} updated successfully.` });
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
    async (c) => sendUser(c, await users.getUser(parts, c.get('caller'), userIdOf(c)), { message: RECEIVED }),
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
      return sendUser(c, user, { message: `User ${user.id} deleted successfully.` });
    },
  );
}

const RECEIVED = 'User(s) received successfully.';

function userIdOf(c: Context<ApiEnv>): number {
  const userId = idOf(c.req.param('id'));
  if (userId === null) throw new AppError({ code: 'user_not_found' });
  return userId;
}

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
