import type { Context, MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { parseSchedule } from '../../domain/schedule.ts';
import { formatInZone } from '../../domain/timezone.ts';
import * as jobs from '../../services/jobs.ts';
import type { Job } from '../../store/jobs.ts';
import { send } from '../envelope.ts';
import { booleanOf, dateOf, idOf, jobInputOf, textOf } from '../inputs.ts';
import { type Api, addOperation, type OperationResponse } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { id, page, pagingHeaders, perPage, timezone } from '../schemas/common.ts';
import {
  JobArrayMessage,
  JobIn,
  JobRunArrayMessage,
  OccurrenceMessage,
  SingleJobMessage,
  toSingleJob,
  toSingleJobRun,
} from '../schemas/jobs.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const tag = 'Jobs';
const notFound: OperationResponse = { description: 'Job not found' };
const rootRefused: OperationResponse = { description: 'The root user owns no jobs' };
const invalid: OperationResponse = { description: 'A field has a value that cannot be' };
const aJob: OperationResponse = { description: 'The job', schema: SingleJobMessage };

export function addJobs(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  const add = (operation: Parameters<typeof addOperation>[1], handler: Parameters<typeof addOperation>[3]) =>
    addOperation(api, { ...operation, responses: { ...operation.responses, 403: rootRefused } }, guards, handler);

  add(
    {
      method: 'post',
      path: '/job_api/{id}/run_now',
      operationId: 'runJobNow',
      tag,
      summary: 'Runs a job at once, enabled or not',
      params: { id },
      responses: { 200: { description: 'Queued to run' }, 404: notFound, 409: { description: 'Already running' } },
    },
    async (c) => {
      const jobId = jobIdOf(c);
      await jobs.runJobNow(parts, c.get('caller'), jobId);
      return send(c, { message: `Job ${jobId} queued to run.`, object: {}, objectType: 'job' });
    },
  );
  add(
    {
      method: 'get',
      path: '/job_api/{id}/occurrences/{end_date}',
      operationId: 'jobOccurrences',
      tag,
      summary: 'When a job occurs, from its next occurrence to an end',
      params: { id, end_date: z.string().openapi({ example: '2026-12-31' }) },
      query: { per_page: perPage, page, timezone },
      responses: {
        200: { description: 'The occurrences', schema: OccurrenceMessage, headers: pagingHeaders },
        404: notFound,
        422: invalid,
      },
    },
    (c) => occurrences(c, parts),
  );
  api.on(['GET'], ['/job_api/:id/occurrences'], ...guards, () => {
    throw new AppError({ code: 'end_date_missing' });
  });
  add(
    {
      method: 'post',
      path: '/job_api',
      operationId: 'createJob',
      tag,
      summary: 'Creates a job',
      body: JobIn,
      responses: { 201: aJob, 422: invalid },
    },
    async (c) => {
      const job = await jobs.createJob(parts, c.get('caller'), jobInputOf(c.get('params')));
      return sendJob(c, job, { status: 201, message: `Job ${job.id} created successfully.` });
    },
  );
  add(
    {
      method: 'get',
      path: '/job_api',
      operationId: 'getJobs',
      tag,
      summary: 'Lists jobs by their next run',
      query: { expression: z.string().optional(), timezone, per_page: perPage, page },
      responses: { 200: { description: 'Jobs', schema: JobArrayMessage, headers: pagingHeaders }, 422: invalid },
    },
    (c) => list(c, parts),
  );
  add(
    {
      method: 'get',
      path: '/job_api/{id}/runs',
      operationId: 'getJobRuns',
      tag,
      summary: "Lists a job's runs, newest first",
      params: { id },
      query: {
        per_page: perPage,
        page,
        succeeded: z.boolean().optional(),
        start_date: z.string().optional().openapi({ description: 'Started at or after' }),
        end_date: z.string().optional().openapi({ description: 'Ended at or before' }),
        timezone,
      },
      responses: {
        200: { description: 'Runs', schema: JobRunArrayMessage, headers: pagingHeaders },
        404: notFound,
        422: invalid,
      },
    },
    (c) => runs(c, parts),
  );
  for (const method of ['put', 'patch'] as const) {
    add(
      {
        method,
        path: '/job_api/{id}',
        operationId: method === 'put' ? 'updateJob' : 'patchJob',
        tag,
        summary: 'Changes the fields of a job that are sent',
        params: { id },
        body: method === 'put' ? JobIn : JobIn.partial(),
        responses: { 200: aJob, 404: notFound, 422: invalid },
      },
      async (c) => {
        const job = await jobs.updateJob(parts, c.get('caller'), jobIdOf(c), jobInputOf(c.get('params')));
        return sendJob(c, job, { message: `Job ${job.id} updated successfully.` });
      },
    );
  }
  add(
    {
      method: 'delete',
      path: '/job_api/{id}',
      operationId: 'deleteJob',
      tag,
      summary: 'Deletes a job and its runs',
      params: { id },
      responses: { 200: aJob, 404: notFound, 409: { description: 'The job is running' } },
    },
    async (c) => {
      const job = await jobs.deleteJob(parts, c.get('caller'), jobIdOf(c));
      return sendJob(c, job, { message: `Job ${job.id} deleted successfully.` });
    },
  );
  add(
    {
      method: 'get',
      path: '/job_api/{id}',
      operationId: 'getJob',
      tag,
      summary: 'Shows a job',
      params: { id },
      responses: { 200: aJob, 404: notFound },
    },
    async (c) => sendJob(c, await jobs.getJob(parts, c.get('caller'), jobIdOf(c)), { message: RECEIVED }),
  );
}

const RECEIVED = 'Job(s) received successfully.';

function jobIdOf(c: Context<ApiEnv>): number {
  const jobId = idOf(c.req.param('id'));
  if (jobId === null) throw new AppError({ code: 'job_not_found' });
  return jobId;
}

function sendJob(c: Context<ApiEnv>, job: Job, { status = 200, message }: { status?: 200 | 201; message: string }) {
  return send(c, { status, message, object: show(c, job), objectType: 'job' });
}

function show(c: Context<ApiEnv>, job: Job) {
  return toSingleJob(job, c.get('timezone'), nextRunOf(job));
}

/** Nothing moves a disabled job's next run on: what its schedule says is asked anew once the stored one has passed. */
function nextRunOf({ enabled, nextRun, cron, timezone: zone }: Job): Date | null {
  const now = new Date();
  return enabled || (nextRun && nextRun > now) ? nextRun : parseSchedule(cron, zone).next(now);
}

async function list(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  if (textOf(c.get('params'), 'expression')?.trim()) {
    throw new AppError({ code: 'invalid', problems: ['Expression: this version cannot search yet'] });
  }
  const found = await jobs.listJobs(parts, c.get('caller'), readPage(c));
  setPagingHeaders(c, found.total);
  return send(c, { message: RECEIVED, object: found.jobs.map((job) => show(c, job)), objectType: 'jobarray' });
}

async function runs(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const [params, zone] = [c.get('params'), c.get('timezone')];
  const filter = {
    jobId: jobIdOf(c),
    succeeded: booleanOf(params, 'succeeded'),
    startedFrom: dateOf(params, 'start_date', zone),
    finishedUntil: dateOf(params, 'end_date', zone),
  };
  const found = await jobs.getJobRuns(parts, c.get('caller'), { filter, page: readPage(c) });
  setPagingHeaders(c, found.total);
  const object = found.runs.map((run) => toSingleJobRun(run, zone));
  return send(c, { message: 'Job runs received successfully.', object, objectType: 'jobruns' });
}

async function occurrences(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const zone = c.get('timezone');
  // Some clients write a blank inside a path as "+". An offset's plus stands before digits.
  const endDate = c.req.param('end_date')?.replaceAll(/\+(?!\d{2}:?\d{2}$)/g, ' ');
  const until = dateOf({ end_date: endDate }, 'end_date', zone);
  if (!until) throw new AppError({ code: 'end_date_missing' });
  const query = { jobId: jobIdOf(c), until, page: readPage(c) };
  const found = await jobs.getOccurrences(parts, c.get('caller'), query);
  setPagingHeaders(c, found.total);
  const object = found.occurrences.map((at) => formatInZone(at, zone));
  return send(c, { message: 'Job occurrences received successfully.', object, objectType: 'occurrences' });
}
