import { OpenAPIHono } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { send } from './envelope.ts';
import { answerError } from './errors.ts';
import { requireCaller } from './middleware/authentication.ts';
import { readParams } from './middleware/params.ts';
import { readTimezone } from './middleware/timezone.ts';
import type { Api } from './operation.ts';
import { addAuthentication } from './routes/authentication.ts';
import { addDocumentation } from './routes/documentation.ts';
import { addJobs } from './routes/jobs.ts';
import { addStatic } from './routes/static.ts';
import { addUsers } from './routes/users.ts';
import type { ApiEnv, ApiParts } from './types.ts';

/** A command may have 64 KiB; escaped as JSON each byte can take six. */
const BODY_BYTES_MAX = 1024 * 1024;

const DISCARDED_BYTES_MAX = 16 * BODY_BYTES_MAX;

/** A client that is still writing does not read: what it sends is taken, up to a limit, so that it hears the answer. */
async function discard(body: ReadableStream<Uint8Array> | null): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      if (bytes > DISCARDED_BYTES_MAX) return;
    }
  } catch {
    // The client has hung up: there is nobody to answer.
  }
}

/** The whole HTTP side. Trailing slashes and HEAD work. */
export function createApi(parts: ApiParts): Api {
  const api = new OpenAPIHono<ApiEnv>({ strict: false });
  api.onError((error, c) => answerError(error, c, parts.log));
  api.notFound((c) => send(c, { status: 404, message: 'Not found.', object: {}, objectType: '' }));
  api.use(secureHeaders({ crossOriginResourcePolicy: false, strictTransportSecurity: false }));
  api.use(
    bodyLimit({
      maxSize: BODY_BYTES_MAX,
      onError: async (c) => {
        await discard(c.req.raw.body);
        // More of the body may follow, so nothing else can on this connection.
        c.header('Connection', 'close');
        return send(c, { status: 413, message: 'The request body is larger than 1 MiB.', object: {}, objectType: '' });
      },
    }),
  );
  api.use(readParams, readTimezone);
  addDocumentation(api);
  addStatic(api, parts);
  addAuthentication(api, parts);
  const guards = [requireCaller(parts)];
  addJobs(api, parts, guards);
  addUsers(api, parts, guards);
  return api;
}
