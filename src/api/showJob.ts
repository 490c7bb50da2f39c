import type { Context } from 'hono';
import { scheduleOf } from '../domain/schedule.ts';
import type { Job } from '../store/jobs.ts';
import { send } from './envelope.ts';
import { say } from './messages/say.ts';
import { setPagingHeaders } from './paging.ts';
import { toSingleJob } from './schemas/jobs.ts';
import type { ApiEnv } from './types.ts';

export function showJob(c: Context<ApiEnv>, job: Job) {
  return toSingleJob(job, c.get('timezone'), nextRunOf(job));
}

/** Nothing moves a disabled job's next run on: what its schedule says is asked anew once the stored one has passed. */
function nextRunOf(job: Job): Date | null {
  const now = new Date();
  const isCurrent = job.enabled || (job.nextRun && job.nextRun > now);
  return isCurrent ? job.nextRun : scheduleOf(job).next(now);
}

/** A page of jobs, of the whole list or of a folder's. */
export function sendJobs(c: Context<ApiEnv>, { jobs, total }: { jobs: Job[]; total: number }): Response {
  setPagingHeaders(c, total);
  const object = jobs.map((job) => showJob(c, job));
  return send(c, { message: say(c, 'jobs_received'), object, objectType: 'jobarray' });
}
