/** What a request can fail with, as a closed set; src/api/errors.ts gives each its status and its words. */
export type Failure =
  | { code: 'invalid_credentials' }
  | { code: 'not_authorized' }
  | { code: 'root_required' }
  | { code: 'root_refused' }
  | { code: 'malformed'; detail: string }
  | { code: 'invalid_timezone'; timezone: string }
  | { code: 'invalid'; problems: string[] }
  | { code: 'job_not_found' }
  | { code: 'job_running'; jobId: number }
  | { code: 'job_undeletable'; jobId: number }
  | { code: 'end_date_missing' }
  | { code: 'user_not_found' }
  | { code: 'username_taken' }
  | { code: 'user_undeletable' }
  | { code: 'user_not_created'; username: string; problems: string[] }
  | { code: 'user_not_updated'; userId: number; problems: string[] };

export class AppError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.code, options);
    this.name = 'AppError';
    this.failure = failure;
  }
}
