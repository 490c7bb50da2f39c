import { formatInZone } from '../../domain/timezone.ts';
import type { User } from '../../store/users.ts';
import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';
import { DateTime } from './common.ts';

export const AuthIn = z
  .object({
    username: z.string().openapi({ example: 'admin' }),
    password: z.string().openapi({ example: 'password1234', format: 'password' }),
  })
  .openapi('AuthIn');

export const AuthOut = z
  .object({
    auth_token: z.string(),
    user_id: z.int().nullable(),
    message: z.string(),
    is_error: z.boolean(),
    status_code: z.int(),
  })
  .openapi('AuthOut');

const password = z.string().openapi({ description: '8 to 72 bytes', format: 'password' });

export const UserNewIn = z
  .object({ username: z.string(), password, password_confirmation: password })
  .openapi('UserNewIn');
export const UserUpdateIn = z.object({ password, password_confirmation: password }).openapi('UserUpdateIn');

export const SingleUser = z
  .object({ id: z.int(), username: z.string(), created_at: DateTime, updated_at: DateTime })
  .openapi('SingleUser');
export const SingleUserMessage = envelopeOf(SingleUser, 'SingleUserMessage');
export const UserArray = z.array(SingleUser).openapi('UserArray');
export const UserArrayMessage = envelopeOf(UserArray, 'UserArrayMessage');

export function toSingleUser(user: User, timezone: string): z.infer<typeof SingleUser> {
  return {
    id: user.id,
    username: user.username,
    created_at: formatInZone(user.createdAt, timezone),
    updated_at: formatInZone(user.updatedAt, timezone),
  };
}
