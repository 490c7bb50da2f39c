import type { Context, MiddlewareHandler } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import { AppError } from '../../domain/errors.ts';
import * as runs from '../../services/runs.ts';
import { send } from '../envelope.ts';
import { choiceOf, pathIdOf } from '../inputs.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation, type Operation } from '../operation.ts';
import { readPage, setPagingHeaders } from '../paging.ts';
import { readRange } from '../ranges.ts';
import { id, page, pagingHeaders, perPage, timezone } from '../schemas/common.ts';
import { FullJobRunMessage, MisfireArrayMessage, toFullJobRun, toMisfire } from '../schemas/jobs.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const tag = 'JobRuns';
const notFound = { description: 'Run not found' };
const rootRefused = { description: 'The root user owns no jobs' };

/** Single runs: what they printed, while they run and after, and how to end one. */
export function addRuns(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  const add = (operation: Omit<Operation, 'tag'>, handler: Parameters<typeof addOperation>[3]) =>
    addOperation(api, { ...operation, tag, responses: { ...operation.responses, 403: rootRefused } }, guards, handler);

  add(
    {
      method: 'get',
      path: '/job_run_api/{id}',
      operationId: 'getJobRun',
      summary: 'Shows a run',
      params: { id },
      query: { timezone },
      responses: { 200: { description: 'The run', schema: FullJobRunMessage }, 404: notFound },
    },
    async (c) => {
      const object = toFullJobRun(await runs.getRun(parts, c.get('caller'), runIdOf(c)), c.get('timezone'));
      return send(c, { message: say(c, 'run_received'), object, objectType: 'jobrun' });
    },
  );
  add(
    {
      method: 'get',
      path: '/job_run_api/{id}/output',
      operationId: 'getJobRunOutput',
      summary: 'What a run has printed, as text; of a run under way the newest of it',
      params: { id },
      query: { stream: z.enum(STREAMS).optional().openapi({ description: 'stdout' }) },
      headers: { Range: z.string().optional().openapi({ example: 'bytes=-1000' }) },
      responses: {
        200: { description: 'The text', schema: z.string(), contentType: 'text/plain', headers: outputHeaders },
        206: { description: 'A part of it', schema: z.string(), contentType: 'text/plain', headers: outputHeaders },
        404: notFound,
        416: { description: 'Nothing of it lies in the range' },
        422: { description: 'There is no such stream' },
      },
    },
    (c) => output(c, parts),
  );
  add(
    {
      method: 'get',
      path: '/job_run_api/{id}/follow',
      operationId: 'followJobRun',
      summary: 'What a run prints, as it comes: server-sent events output, restart and end',
      params: { id },
      headers: { 'Last-Event-ID': z.string().optional().openapi({ description: 'Go on after this event' }) },
      responses: {
        200: { description: 'Events', schema: z.string(), contentType: 'text/event-stream' },
        404: notFound,
        429: { description: 'Too many runs are followed' },
      },
    },
    (c) => follow(c, parts),
  );
  add(
    {
      method: 'post',
      path: '/job_run_api/{id}/cancel',
      operationId: 'cancelJobRun',
      summary: 'Ends a run under way, with all of its processes',
      params: { id },
      responses: {
        200: { description: 'It is being ended' },
        404: notFound,
        409: { description: 'It has ended already' },
      },
    },
    async (c) => {
      const runId = runIdOf(c);
      await runs.cancelRun(parts, c.get('caller'), runId);
      return send(c, { message: say(c, 'run_canceled', { id: runId }), object: {}, objectType: 'jobrun' });
    },
  );
  add(
    {
      method: 'get',
      path: '/job_api/{id}/misfires',
      operationId: 'getJobMisfires',
      summary: "Lists a job's occurrences that did not run, newest first",
      params: { id },
      query: { per_page: perPage, page, timezone },
      responses: {
        200: { description: 'Misfires', schema: MisfireArrayMessage, headers: pagingHeaders },
        404: { description: 'Job not found' },
      },
    },
    async (c) => {
      const jobId = pathIdOf(c, 'job_not_found');
      const found = await runs.getMisfires(parts, c.get('caller'), { jobId, page: readPage(c) });
      setPagingHeaders(c, found.total);
      const object = found.misfires.map((row) => toMisfire(row, c.get('timezone')));
      return send(c, { message: say(c, 'misfires_received'), object, objectType: 'misfires' });
    },
  );
}

const runIdOf = (c: Context<ApiEnv>) => pathIdOf(c, 'run_not_found');

const STREAMS = ['stdout', 'stderr'] as const;

const outputHeaders = z.object({
  'accept-ranges': z.string().optional().openapi({ description: '`bytes`, once the run has ended' }),
  'bjr-output-bytes': z.string().optional().openapi({ description: 'All that the command printed' }),
  'bjr-output-truncated': z.string().optional().openapi({ description: '`true` where the middle was left out' }),
});

async function output(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const run = await runs.getRun(parts, c.get('caller'), runIdOf(c));
  const stream = choiceOf(c.get('params'), 'stream', STREAMS) || 'stdout';
  c.header('Content-Type', 'text/plain; charset=utf-8');
  if (run.outcome === null) return c.body(await runs.readLiveText(parts, { runId: run.id, stream }));
  c.header('Accept-Ranges', 'bytes');
  c.header('BJR-Output-Bytes', String(stream === 'stdout' ? run.stdoutBytes : run.stderrBytes));
  if (stream === 'stdout' ? run.stdoutTruncated : run.stderrTruncated) c.header('BJR-Output-Truncated', 'true');
  return sendRange(c, Buffer.from(run[stream] ?? ''));
}

function sendRange(c: Context<ApiEnv>, bytes: Buffer): Response {
  const range = readRange(c.req.header('range'), bytes.length);
  if (range === null) return c.body(new Uint8Array(bytes));
  if (range === 'none') {
    c.header('Content-Range', `bytes */${bytes.length}`);
    const message = say(c, 'range_unsatisfiable', { bytes: bytes.length });
    return send(c, { status: 416, message, object: {}, objectType: '' });
  }
  c.header('Content-Range', `bytes ${range.first}-${range.last}/${bytes.length}`);
  return c.body(new Uint8Array(bytes.subarray(range.first, range.last + 1)), 206);
}

const FOLLOWED_MAX = 20;
const KEEP_ALIVE_MS = 15_000;
const CHECK_MS = 5000;
/** By user: each follower costs a few statements a second. */
const followed = new Map<number, number>();

async function follow(c: Context<ApiEnv>, parts: ApiParts): Promise<Response> {
  const { userId } = c.get('caller');
  const run = await runs.getRun(parts, c.get('caller'), runIdOf(c));
  // Nobody reads the stream of a HEAD, so nothing would ever end it.
  if (c.req.method === 'HEAD') return c.body(null, 200, { 'Content-Type': 'text/event-stream' });
  const count = followed.get(userId) ?? 0;
  if (count >= FOLLOWED_MAX) throw new AppError({ code: 'too_many_followers', max: FOLLOWED_MAX });
  const after = placeOf(c.req.header('last-event-id') ?? '');
  followed.set(userId, count + 1);
  // Proxies that collect an answer would show it when it is over.
  c.header('X-Accel-Buffering', 'no');
  return streamSSE(c, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    const keepAlive = setInterval(() => void stream.write(':\n\n'), KEEP_ALIVE_MS);
    // A token that has ended, or was revoked, hears no more.
    const isStillCaller = c.get('isStillCaller');
    const check = setInterval(() => void isStillCaller().then((is) => is || gone.abort()), CHECK_MS);
    try {
      for await (const event of runs.followRun(parts, { runId: run.id, after, signal: gone.signal }))
        await tell(stream, event);
    } finally {
      clearInterval(keepAlive);
      clearInterval(check);
      const left = (followed.get(userId) ?? 1) - 1;
      if (left > 0) followed.set(userId, left);
      else followed.delete(userId);
    }
  });
}

/** An event's id says all that it takes to go on behind it, though the event itself be forgotten by then. */
const eventIdOf = (place: runs.Place) => `${place.id}:${place.stdout}:${place.stderr}`;

function placeOf(eventId: string): runs.Place | null {
  const [, partId = '', stdout, stderr] = /^(\d{1,20}-\d{1,20}):(\d{1,15}):(\d{1,15})$/.exec(eventId) ?? [];
  return partId === '' ? null : { id: partId, stdout: Number(stdout), stderr: Number(stderr) };
}

function tell(stream: SSEStreamingApi, event: runs.FollowEvent): Promise<void> {
  switch (event.type) {
    case 'output': {
      const { stream: name, text, skipped } = event;
      const data = JSON.stringify({ stream: name, text, ...(skipped > 0 && { skipped_bytes: skipped }) });
      return stream.writeSSE({ event: 'output', data, ...(event.place && { id: eventIdOf(event.place) }) });
    }
    case 'restart':
      return stream.writeSSE({ event: 'restart', data: '{}' });
    case 'end':
      return stream.writeSSE({
        event: 'end',
        data: JSON.stringify({ outcome: event.outcome, return_code: event.returnCode }),
      });
  }
}
