import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from './zod.ts';

/** What every answer is wrapped in, in this order of fields. */
export interface Answer {
  status?: ContentfulStatusCode;
  message: string;
  object: unknown;
  objectType: string;
}

export function send(c: Context, { status = 200, message, object, objectType }: Answer): Response {
  const isError = status >= 400;
  return c.json({ message, is_error: isError, object, object_type: objectType, status_code: status }, status);
}

/** The envelope's schema around an object's. */
export function envelopeOf<T extends z.ZodType>(object: T, name: string) {
  return z
    .object({
      message: z.string(),
      is_error: z.boolean(),
      object_type: z.string(),
      status_code: z.int(),
      object,
    })
    .openapi(name);
}
