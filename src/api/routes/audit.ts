import type { MiddlewareHandler } from 'hono';
import { AUDIT_KINDS } from '../../domain/audit.ts';
import { listAuditEntries } from '../../services/audit.ts';
import { send } from '../envelope.ts';
import { choiceOf, dateOf, integerOf } from '../inputs.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { AuditEntryArrayMessage, toAuditEntry } from '../schemas/audit.ts';
import { page, pagingHeaders, perPage, timezone } from '../schemas/common.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

/** Who changed what. */
export function addAudit(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  addOperation(
    api,
    {
      method: 'get',
      path: '/audit_api',
      operationId: 'getAuditEntries',
      tag: 'Audit',
      summary: 'Lists who changed what, newest first (root only)',
      query: {
        user_id: z.int().optional().openapi({ description: 'Done by this user' }),
        kind: z.enum(AUDIT_KINDS).optional().openapi({ description: 'Done to things of this kind' }),
        object_id: z.int().optional().openapi({ description: 'Done to the thing of this id' }),
        start_date: z.string().optional().openapi({ description: 'At or after' }),
        end_date: z.string().optional().openapi({ description: 'At or before' }),
        per_page: perPage,
        page,
        timezone,
      },
      responses: {
        200: { description: 'Entries', schema: AuditEntryArrayMessage, headers: pagingHeaders },
        422: { description: 'A field has a value that cannot be' },
      },
    },
    guards,
    async (c) => {
      const params = c.get('params');
      const filter = {
        userId: integerOf(params, 'user_id'),
        kind: choiceOf(params, 'kind', AUDIT_KINDS),
        objectId: integerOf(params, 'object_id'),
        from: dateOf(c, 'start_date'),
        until: dateOf(c, 'end_date'),
      };
      const found = await listAuditEntries(parts, c.get('caller'), { filter, page: readPage(c) });
      setPagingHeaders(c, found.total);
      const object = found.entries.map((entry) => toAuditEntry(entry, c.get('timezone')));
      return send(c, { message: say(c, 'audit_received'), object, objectType: 'auditarray' });
    },
  );
}
