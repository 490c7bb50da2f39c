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

export const idempotencyKey = z.string().optional().openapi({
  description:
    'Any text, up to 255 characters: a request that is sent again with the same key is carried out once (for 24 hours)',
});
/** The 404 of a create. */
export const deletedSince = {
  description: 'An earlier request with this Idempotency-Key had created it, and it has been deleted since',
};
export const ifMatch = z.string().optional().openapi({
  description: 'The ETag of the job as you read it: it is changed only if nobody has changed it since',
});
export const etagHeaders = z.object({
  etag: z.string().openapi({ description: "The definition's revision, for If-Match" }),
});
export const replayHeaders = z.object({
  'idempotent-replayed': z
    .string()
    .optional()
    .openapi({ description: '`true` where an earlier request with the same Idempotency-Key had done it' }),
});

// No `example`: Swagger UI would fill it in, and a list that was just asked for would be searched.
export const expression = z.string().optional().openapi({
  description: 'Search terms, all of which must hold, such as: tag:example enabled -name:"old one". See docs/search.md',
});
export const retryHeaders = z.object({ 'retry-after': z.string().openapi({ description: 'Seconds' }) });
