import { envelopeOf } from '../envelope.ts';
import { z } from '../zod.ts';

export const DateTime = z.string().openapi({ format: 'date-time', example: '2026-11-24T10:00:00.000Z' });
export const Float = z.number().openapi({ format: 'float' });
export const GenericMessage = envelopeOf(z.object({}), 'GenericMessage');

/** Query parameters of every list, and the one that every request may carry. */
export const perPage = z.int().optional().openapi({ description: 'Rows a page: 25, at most 1000', example: 25 });
export const page = z.int().optional().openapi({ description: 'From 1', example: 1 });
export const timezone = z
  .string()
  .optional()
  .openapi({ description: "Zone of the answer's dates; IANA or display name", example: 'UTC' });

export const pagingHeaders = z.object({
  'per-page': z.int().openapi({ description: 'Rows a page' }),
  total: z.int().openapi({ description: 'Rows in all' }),
  link: z.string().optional().openapi({ description: 'first, prev, last and next page, those that apply (RFC 8288)' }),
});

export const id = z.int().openapi({ example: 1 });
