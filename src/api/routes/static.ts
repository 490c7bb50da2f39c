import type { MiddlewareHandler } from 'hono';
import { RAILS_TIMEZONES } from '../../domain/timezoneNames.ts';
import { VERSION } from '../../platform/version.ts';
import { findPartsDown } from '../../services/health.ts';
import { listTags } from '../../services/tags.ts';
import { envelopeOf, send } from '../envelope.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { page, pagingHeaders, perPage } from '../schemas/common.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const ServerVersion = envelopeOf(z.string(), 'ServerVersion');

const Tag = z
  .object({ id: z.int(), name: z.string(), taggings_count: z.int().openapi({ description: 'Jobs with this tag' }) })
  .openapi('Tag');
const TagMessage = envelopeOf(z.array(Tag).openapi('TagArray'), 'TagMessage');
const TimezoneMessage = envelopeOf(
  z
    .record(z.string(), z.string())
    .openapi({ description: 'Display name → IANA name', example: { London: 'Europe/London' } }),
  'TimezoneMessage',
);

export function addStatic(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  addOperation(
    api,
    {
      method: 'get',
      path: '/version',
      operationId: 'getVersion',
      tag: 'Static',
      summary: "The server's version",
      isPublic: true,
      responses: { 200: { description: 'The version', schema: ServerVersion } },
    },
    [],
    (c) => send(c, { message: say(c, 'version_received'), object: VERSION, objectType: 'version' }),
  );

  addOperation(
    api,
    {
      method: 'get',
      path: '/timezones',
      operationId: 'getTimezones',
      tag: 'Static',
      summary: 'The display names of time zones; IANA names are accepted everywhere too',
      responses: { 200: { description: 'Time zones', schema: TimezoneMessage } },
    },
    guards,
    (c) => send(c, { message: say(c, 'timezones_received'), object: { ...RAILS_TIMEZONES }, objectType: 'tzarray' }),
  );
  addOperation(
    api,
    {
      method: 'get',
      path: '/tags',
      operationId: 'getTags',
      tag: 'Static',
      summary: 'The tags of your jobs',
      query: { per_page: perPage, page },
      responses: { 200: { description: 'Tags', schema: TagMessage, headers: pagingHeaders } },
    },
    guards,
    async (c) => {
      const found = await listTags(parts, c.get('caller'), readPage(c));
      setPagingHeaders(c, found.total);
      const object = found.tags.map(({ id, name, jobCount }) => ({ id, name, taggings_count: jobCount }));
      return send(c, { message: say(c, 'tags_received'), object, objectType: 'tagarray' });
    },
  );

  // For load balancers: nothing to read where all is well.
  api.get('/health', async (c) => {
    const down = await findPartsDown(parts);
    // Without Redis runs go on, without the others none begins.
    const status = down.every((part) => part === 'redis') ? 'degraded' : 'down';
    return down.length === 0 ? c.body(null, 200) : c.json({ status, down }, 503);
  });
}
