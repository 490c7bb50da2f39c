import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { AppError, type Failure } from '../domain/errors.ts';
import type { Log } from '../platform/log.ts';
import { send } from './envelope.ts';
import { say, sayProblems } from './messages/say.ts';
import { originOf } from './origin.ts';
import type { ApiEnv } from './types.ts';

const STATUS = {
  invalid_credentials: 401,
  too_many_attempts: 429,
  not_authorized: 401,
  root_required: 401,
  root_refused: 403,
  malformed: 400,
  invalid_timezone: 400,
  invalid: 422,
  job_not_found: 404,
  job_running: 409,
  job_undeletable: 409,
  folder_not_found: 404,
  run_not_found: 404,
  delivery_not_found: 404,
  run_ended: 409,
  too_many_followers: 429,
  job_changed: 412,
  key_reused: 422,
  end_date_missing: 403,
  host_missing: 400,
  host_not_found: 404,
  redis_away: 503,
  count_too_large: 406,
  user_not_found: 404,
  username_taken: 403,
  user_undeletable: 403,
  user_not_created: 403,
  user_not_updated: 403,
} as const satisfies Record<Failure['code'], ContentfulStatusCode>;

/** A failure in the contract's words. */
function describe(failure: Failure, c: Context<ApiEnv>): string {
  switch (failure.code) {
    case 'malformed':
      return say(c, failure.fault.code, { ...failure.fault });
    case 'too_many_attempts':
      return say(c, failure.code, { seconds: failure.seconds });
    case 'invalid_timezone':
      return say(c, failure.code, { timezone: failure.timezone, url: `${originOf(c)}/timezones` });
    case 'invalid':
      return sayProblems(c, failure.problems);
    case 'job_running':
    case 'job_undeletable':
    case 'job_changed':
      return say(c, failure.code, { id: failure.jobId });
    case 'host_not_found':
      return say(c, failure.code, { host: failure.host, hosts: failure.hosts.join(', ') });
    case 'run_ended':
      return say(c, failure.code, { id: failure.runId });
    case 'too_many_followers':
      return say(c, failure.code, { max: failure.max });
    case 'user_not_created':
      return say(c, failure.code, { username: failure.username, problems: sayProblems(c, failure.problems) });
    case 'user_not_updated':
      return say(c, failure.code, { id: failure.userId, problems: sayProblems(c, failure.problems) });
    default:
      return say(c, failure.code);
  }
}

/** The client was gone before it had sent its whole request, or took too long: nobody hears the answer. */
const isHangUp = (error: Error) => error.message === 'aborted' && 'code' in error && error.code === 'ECONNRESET';

/** Every error's way out: what was foreseen in the contract's words, anything else as 500 with an id that the log has. */
export function answerError(error: Error, c: Context<ApiEnv>, log: Log): Response {
  if (error instanceof AppError) {
    const { failure } = error;
    if (failure.code === 'too_many_attempts') c.header('Retry-After', String(failure.seconds));
    const empty =
      failure.code === 'count_too_large' ? { object: [], objectType: 'jobs' } : { object: {}, objectType: '' };
    return send(c, { status: STATUS[failure.code], message: describe(failure, c), ...empty });
  }
  if (isHangUp(error)) return send(c, { status: 400, message: say(c, 'body_form'), object: {}, objectType: '' });
  const errorId = crypto.randomUUID();
  log.error({ err: error, errorId, method: c.req.method, path: c.req.path }, 'A request failed');
  return send(c, { status: 500, message: say(c, 'server_error', { errorId }), object: {}, objectType: '' });
}
