import { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { send } from './envelope.ts';
import { answerError } from './errors.ts';
import { readLanguage, say } from './messages/say.ts';
import { requireCaller } from './middleware/authentication.ts';
import { observe } from './middleware/observe.ts';
import { allowOrigins } from './middleware/origins.ts';
import { hasBody, readParams } from './middleware/params.ts';
import { securityHeaders } from './middleware/securityHeaders.ts';
import { readTimezone } from './middleware/timezone.ts';
import type { Api } from './operation.ts';
import { addAudit } from './routes/audit.ts';
import { addAuthentication } from './routes/authentication.ts';
import { addDeliveries } from './routes/deliveries.ts';
import { addDocumentation } from './routes/documentation.ts';
import { addFolders } from './routes/folders.ts';
import { addJobServer } from './routes/jobServer.ts';
import { addJobs } from './routes/jobs.ts';
import { addRuns } from './routes/runs.ts';
import { addSchedules } from './routes/schedules.ts';
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

const limit = bodyLimit({
  maxSize: BODY_BYTES_MAX,
  onError: async (c) => {
    await discard(c.req.raw.body);
    // More of the body may follow, so nothing else can on this connection.
    c.header('Connection', 'close');
    return send(c, { status: 413, message: say(c, 'body_too_large'), object: {}, objectType: '' });
  },
});

/** Whether a GET has a body is not even asked: none is read, and the question makes a whole Request of the platform's. */
const limitBody: MiddlewareHandler<ApiEnv> = (c, next) => (hasBody(c.req.method) ? limit(c, next) : next());

/** The whole HTTP side. Trailing slashes and HEAD work. */
export function createApi(parts: ApiParts): Api {
  const api = new OpenAPIHono<ApiEnv>({ strict: false });
  api.onError((error, c) => answerError(error, c, parts.log));
  api.notFound((c) => send(c, { status: 404, message: say(c, 'not_found'), object: {}, objectType: '' }));
  api.use(observe(parts), readLanguage);
  api.use(securityHeaders(parts), allowOrigins(parts));
  api.use(limitBody, readParams, readTimezone);
  addDocumentation(api);
  addAuthentication(api, parts);
  const guards = [requireCaller(parts)];
  addStatic(api, parts, guards);
  addFolders(api, parts, guards);
  addJobs(api, parts, guards);
  addJobServer(api, parts, guards);
  addRuns(api, parts, guards);
  addDeliveries(api, parts, guards);
  addSchedules(api, guards);
  addUsers(api, parts, guards);
  addAudit(api, parts, guards);
  return api;
}
