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

/** The whole HTTP side. Trailing slashes and HEAD work. */
export function createApi(parts: ApiParts): Api {
  const api = new OpenAPIHono<ApiEnv>({ strict: false });
  api.onError((error, c) => answerError(error, c, parts.log));
  api.notFound((c) => send(c, { status: 404, message: 'Not found.', object: {}, objectType: '' }));
  api.use(secureHeaders({ crossOriginResourcePolicy: false, strictTransportSecurity: false }));
  api.use(
    bodyLimit({
      maxSize: BODY_BYTES_MAX,
      onError: (c) => {
        // What is left of the body is not read, so nothing can follow it on this connection.
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
