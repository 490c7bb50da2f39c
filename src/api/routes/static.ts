import { VERSION } from '../../platform/version.ts';
import { findPartsDown } from '../../services/health.ts';
import { envelopeOf, send } from '../envelope.ts';
import { type Api, addOperation } from '../operation.ts';
import type { ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const ServerVersion = envelopeOf(z.string(), 'ServerVersion');

export function addStatic(api: Api, parts: ApiParts): void {
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
    (c) => send(c, { message: 'Version received successfully.', object: VERSION, objectType: 'version' }),
  );

  // For load balancers: nothing to read where all is well.
  api.get('/health', async (c) => {
    const down = await findPartsDown(parts);
    return down.length === 0 ? c.body(null, 200) : c.json({ down }, 503);
  });
}
