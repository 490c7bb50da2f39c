import type { Problem } from './problem.ts';

/** What a request can fail with, as a closed set; src/api/errors.ts gives each its status and its words. */
export type Failure =
  | { code: 'invalid_credentials' }
  | { code: 'too_many_attempts'; seconds: number }
  | { code: 'not_authorized' }
  | { code: 'root_required' }
  | { code: 'root_refused' }
  | { code: 'malformed'; fault: BodyFault }
  | { code: 'invalid_timezone'; timezone: string }
  | { code: 'invalid'; problems: Problem[] }
  | { code: 'job_not_found' }
  | { code: 'job_running'; jobId: number }
  | { code: 'job_undeletable'; jobId: number }
  | { code: 'folder_not_found' }
  | { code: 'run_not_found' }
  | { code: 'delivery_not_found' }
  | { code: 'run_ended'; runId: number }
  | { code: 'too_many_followers'; max: number }
  | { code: 'job_changed'; jobId: number }
  | { code: 'key_reused' }
  | { code: 'end_date_missing' }
  | { code: 'host_missing' }
  | { code: 'host_not_found'; host: string; hosts: string[] }
  | { code: 'redis_away' }
  | { code: 'count_too_large' }
  | { code: 'user_not_found' }
  | { code: 'username_taken' }
  | { code: 'user_undeletable' }
  | { code: 'user_not_created'; username: string; problems: Problem[] }
  | { code: 'user_not_updated'; userId: number; problems: Problem[] };

/** Why a request's body cannot be read. */
export type BodyFault =
  | { code: 'body_content_type'; type: string }
  | { code: 'body_form' }
  | { code: 'body_json'; reason: string }
  | { code: 'body_not_an_object' }
  | { code: 'body_too_complex' };

export class AppError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.code, options);
    this.name = 'AppError';
    this.failure = failure;
  }
}
