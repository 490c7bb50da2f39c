import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { AppError, type Failure } from '../domain/errors.ts';
import type { Log } from '../platform/log.ts';
import { send } from './envelope.ts';
import { originOf } from './origin.ts';

/** The contract's status and words of each failure. */
function describe(failure: Failure, c: Context): { status: ContentfulStatusCode; message: string } {
  switch (failure.code) {
    case 'invalid_credentials':
      return { status: 401, message: 'Invalid credentials' };
    case 'not_authorized':
      return { status: 401, message: 'Not authorized' };
    case 'root_required':
      return { status: 401, message: 'You are not authorized to perform this action.' };
    case 'root_refused':
      return { status: 403, message: 'The root user is not permitted to perform this action.' };
    case 'malformed':
      return { status: 400, message: failure.detail };
    case 'invalid_timezone':
      return {
        status: 400,
        message: `Invalid timezone '${failure.timezone}' specified. Acceptable timezone list: ${originOf(c)}/timezones`,
      };
    case 'invalid':
      return { status: 422, message: failure.problems.join(' ') };
    case 'job_not_found':
      return { status: 404, message: 'Job not found.' };
    case 'job_running':
      return { status: 409, message: `Job '${failure.jobId}' is already running.` };
    case 'job_undeletable':
      return {
        status: 409,
        message: `Job '${failure.jobId}' cannot be deleted because it's running. Try disabling it first.`,
      };
    case 'end_date_missing':
      return { status: 403, message: 'You must supply an end date parameter.' };
    case 'user_not_found':
      return { status: 404, message: 'User not found.' };
    case 'username_taken':
      return { status: 403, message: 'A user with this username already exists.' };
    case 'user_undeletable':
      return { status: 403, message: 'You cannot delete yourself.' };
    case 'user_not_created':
      return { status: 403, message: `Failed to create user '${failure.username}': ${failure.problems.join(' ')}` };
    case 'user_not_updated':
      return { status: 403, message: `Failed to update user '${failure.userId}': ${failure.problems.join(' ')}` };
  }
}

/** Every error's way out: what was foreseen in the contract's words, anything else as 500 with an id that the log has. */
export function answerError(error: Error, c: Context, log: Log): Response {
  if (error instanceof AppError) return send(c, { ...describe(error.failure, c), object: {}, objectType: '' });
  const errorId = crypto.randomUUID();
  log.error({ err: error, errorId, method: c.req.method, path: c.req.path }, 'A request failed');
  const message = `A server error has occurred. Use the error ID '${errorId}' to track it down.`;
  return send(c, { status: 500, message, object: {}, objectType: '' });
}
