import type { Context, MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { parseExpression } from '../../domain/search/parse.ts';
import { formatInZone } from '../../domain/timezone.ts';
import * as jobs from '../../services/jobs.ts';
import type { Job } from '../../store/jobs.ts';
import { send } from '../envelope.ts';
import { booleanOf, dateOf, datesOf, invalid as invalidInput, pathIdOf, readDate, textOf } from '../inputs.ts';
import { jobInputOf } from '../jobInput.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation, type OperationResponse } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { etagOf, idempotencyOf, preconditionOf, setReplayed } from '../preconditions.ts';
import {
  deletedSince,
  etagHeaders,
  expression,
  id,
  idempotencyKey,
  ifMatch,
  page,
  pagingHeaders,
  perPage,
  replayHeaders,
  timezone,
} from '../schemas/common.ts';
import {
  JobArrayMessage,
  JobIn,
  JobPatchIn,
  JobRunArrayMessage,
  OccurrenceMessage,
  SingleJobMessage,
  toSingleJobRun,
} from '../schemas/jobs.ts';
import { sendJobs, showJob } from '../showJob.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const tag = 'Jobs';
const notFound: OperationResponse = { description: 'Job not found' };
const rootRefused: OperationResponse = { description: 'The root user owns no jobs' };
const invalid: OperationResponse = { description: 'A field has a value that cannot be' };
const aJob: OperationResponse = { description: 'The job', schema: SingleJobMessage, headers: etagHeaders };
const changed: OperationResponse = { description: 'The job is not what If-Match says: read it again' };

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
      headers: { 'Idempotency-Key': idempotencyKey },
      responses: {
        200: { description: 'Queued to run', headers: replayHeaders },
        404: notFound,
        409: { description: 'Already running' },
        422: invalid,
      },
    },
    async (c) => {
      const jobId = jobIdOf(c);
      const request = { id: jobId, idempotency: idempotencyOf(c) };
      const { isReplay } = await jobs.runJobNow(parts, c.get('caller'), request);
      setReplayed(c, isReplay);
      return send(c, { message: say(c, 'job_queued', { id: jobId }), object: {}, objectType: 'job' });
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
      headers: { 'Idempotency-Key': idempotencyKey },
      responses: {
        201: { ...aJob, headers: etagHeaders.extend(replayHeaders.shape) },
        404: deletedSince,
        422: invalid,
      },
    },
    async (c) => {
      const request = { input: jobInputOf(c), idempotency: idempotencyOf(c) };
      const { job, isReplay } = await jobs.createJob(parts, c.get('caller'), request);
      setReplayed(c, isReplay);
      return sendJob(c, job, { status: 201, message: say(c, 'job_created', { id: job.id }) });
    },
  );
  add(
    {
      method: 'get',
      path: '/job_api',
      operationId: 'getJobs',
      tag,
      summary: 'Lists jobs by their next run',
      query: { expression, timezone, per_page: perPage, page },
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
        body: method === 'put' ? JobIn : JobPatchIn,
        headers: { 'If-Match': ifMatch },
        responses: { 200: aJob, 404: notFound, 412: changed, 422: invalid },
      },
      async (c) => {
        const input = jobInputOf(c);
        const change = { id: jobIdOf(c), precondition: preconditionOf(c), input };
        const job = await jobs.updateJob(parts, c.get('caller'), change);
        return sendJob(c, job, { message: say(c, 'job_updated', { id: job.id }) });
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
      headers: { 'If-Match': ifMatch },
      responses: {
        200: aJob,
        404: notFound,
        409: { description: 'The job is running' },
        412: changed,
      },
    },
    async (c) => {
      const job = await jobs.deleteJob(parts, c.get('caller'), { id: jobIdOf(c), precondition: preconditionOf(c) });
      return sendJob(c, job, { message: say(c, 'job_deleted', { id: job.id }) });
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
    async (c) =>
      sendJob(c, await jobs.getJob(parts, c.get('caller'), jobIdOf(c)), { message: say(c, 'jobs_received') }),
  );
}

const jobIdOf = (c: Context<ApiEnv>) => pathIdOf(c, 'job_not_found');

function sendJob(c: Context<ApiEnv>, job: Job, { status = 200, message }: { status?: 200 | 201; message: string }) {
  c.header('ETag', etagOf(job));
  return send(c, { status, message, object: showJob(c, job), objectType: 'job' });
}

async function list(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const terms = parseExpression(textOf(c.get('params'), 'expression') ?? '', datesOf(c));
  return sendJobs(c, await jobs.listJobs(parts, c.get('caller'), { terms, page: readPage(c) }));
}

async function runs(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const [params, zone] = [c.get('params'), c.get('timezone')];
  const filter = {
    jobId: jobIdOf(c),
    succeeded: booleanOf(params, 'succeeded'),
    startedFrom: dateOf(c, 'start_date'),
    finishedUntil: dateOf(c, 'end_date'),
  };
  const found = await jobs.getJobRuns(parts, c.get('caller'), { filter, page: readPage(c) });
  setPagingHeaders(c, found.total);
  const object = found.runs.map((run) => toSingleJobRun(run, zone));
  return send(c, { message: say(c, 'job_runs_received'), object, objectType: 'jobruns' });
}

async function occurrences(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const zone = c.get('timezone');
  // Some clients write a blank inside a path as "+"; only behind an ISO date's time does it stand for an offset.
  const endDate = c.req.param('end_date')?.replaceAll(/(?<!T[\d:.]+)\+/gi, ' ');
  if (!endDate?.trim()) throw new AppError({ code: 'end_date_missing' });
  const until = readDate(c, endDate, { isForward: true });
  if (!until) throw invalidInput({ rule: 'not_a_date', field: 'end_date', value: endDate.slice(0, 100) });
  const query = { jobId: jobIdOf(c), until, page: readPage(c) };
  const found = await jobs.getOccurrences(parts, c.get('caller'), query);
  setPagingHeaders(c, found.total);
  const object = found.occurrences.map((at) => formatInZone(at, zone));
  return send(c, { message: say(c, 'job_occurrences_received'), object, objectType: 'occurrences' });
}
