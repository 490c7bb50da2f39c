import type { MiddlewareHandler } from 'hono';
import type { Period } from '../../domain/statistics.ts';
import { startOfDay } from '../../domain/timezone.ts';
import type { WorkerCommand } from '../../redis/workerCommands.ts';
import * as jobServer from '../../services/jobServer.ts';
import { send } from '../envelope.ts';
import { dateOf, textOf } from '../inputs.ts';
import type { MessageKey } from '../messages/en.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation, type Operation } from '../operation.ts';
import { readPage, setPagingHeaders, wholeNumber } from '../paging.ts';
import { page, pagingHeaders, perPage, timezone } from '../schemas/common.ts';
import {
  BusyThreadCountMessage,
  JobStatMessage,
  TodaysStatsMessage,
  toBusyThreadCount,
  toJobStat,
  toTodaysStats,
} from '../schemas/jobServer.ts';
import { JobArrayMessage } from '../schemas/jobs.ts';
import { showJob } from '../showJob.ts';
import type { ApiEnv, ApiParts } from '../types.ts';
import { z } from '../zod.ts';

const tag = 'JobServer';
type Add = (operation: Omit<Operation, 'tag'>, handler: Parameters<typeof addOperation>[3]) => void;

/** The fleet of workers and what it has done. */
export function addJobServer(api: Api, parts: ApiParts, guards: MiddlewareHandler<ApiEnv>[]): void {
  const add: Add = (operation, handler) => addOperation(api, { ...operation, tag }, guards, handler);
  addWorkers(add, parts);
  addStatistics(add, parts);
  addRecentAndUpcoming(add, parts);
}

const COMMANDS: { command: WorkerCommand; operationId: string; summary: string; key: MessageKey }[] = [
  {
    command: 'quiesce',
    operationId: 'quiesceNode',
    summary: "Lets a host's workers finish what they run and claim nothing new",
    key: 'workers_quiesced',
  },
  {
    command: 'resume',
    operationId: 'resumeNode',
    summary: "Lets a host's workers claim again",
    key: 'workers_resumed',
  },
  {
    command: 'stop',
    operationId: 'stopNode',
    summary: "Lets a host's workers finish what they run and end (root only)",
    key: 'workers_stopped',
  },
];

function addWorkers(add: Add, parts: ApiParts): void {
  const away = { description: 'Redis is away, and workers are told through it' };
  for (const { command, operationId, summary, key } of COMMANDS) {
    add(
      {
        method: 'post',
        path: `/job_server_api/${command}_worker`,
        operationId,
        summary,
        query: { host: z.string().openapi({ example: 'worker-1', description: "The workers' host name" }) },
        responses: {
          200: { description: 'They have been told' },
          404: { description: 'No worker is alive on this host' },
          503: away,
        },
      },
      async (c) => {
        const host = textOf(c.get('params'), 'host')?.trim();
        await jobServer.commandWorkers(parts, c.get('caller'), { host, command });
        return send(c, { message: say(c, key), object: {}, objectType: 'workers' });
      },
    );
  }
  add(
    {
      method: 'get',
      path: '/job_server_api/busy_thread_count',
      operationId: 'getBusyThreadCount',
      summary: 'How many commands run on all workers',
      responses: { 200: { description: 'The workers', schema: BusyThreadCountMessage }, 503: away },
    },
    async (c) => {
      const object = toBusyThreadCount(await jobServer.getWorkers(parts));
      return send(c, { message: say(c, 'workers_received'), object, objectType: 'workers' });
    },
  );
}

const STATISTICS: { period: Period; name: string; operationId: string }[] = [
  { period: 'minute', name: 'minutely', operationId: 'statsByMinute' },
  { period: 'hour', name: 'hourly', operationId: 'statsByHour' },
  { period: 'day', name: 'daily', operationId: 'statsByDay' },
  { period: 'week', name: 'weekly', operationId: 'statsByWeek' },
];

function addStatistics(add: Add, parts: ApiParts): void {
  add(
    {
      method: 'get',
      path: '/job_server_api/todays_stats',
      operationId: 'todaysStats',
      summary: "What your jobs did today, by the time zone's day",
      query: { timezone },
      responses: { 200: { description: 'Statistics', schema: TodaysStatsMessage } },
    },
    async (c) => {
      const since = startOfDay(new Date(), c.get('timezone'));
      const object = toTodaysStats(await jobServer.getTodaysStatistics(parts, c.get('caller'), since));
      return send(c, { message: say(c, 'todays_stats_received'), object, objectType: 'todaysstats' });
    },
  );
  for (const { period, name, operationId } of STATISTICS) {
    add(
      {
        method: 'get',
        path: `/job_server_api/${name}_job_stats`,
        operationId,
        summary: `What your jobs did, by the ${period}, oldest first`,
        query: {
          start_date: z.string().optional().openapi({ description: 'Periods that begin at or after' }),
          end_date: z.string().optional().openapi({ description: 'Periods that end at or before' }),
          per_page: perPage,
          page,
          timezone,
        },
        responses: {
          200: { description: 'Statistics', schema: JobStatMessage, headers: pagingHeaders },
          422: { description: 'A date cannot be read' },
        },
      },
      async (c) => {
        const zone = c.get('timezone');
        const span = { from: dateOf(c, 'start_date'), until: dateOf(c, 'end_date') };
        const request = { period, ...span, page: readPage(c) };
        const { rows, total } = await jobServer.getStatistics(parts, c.get('caller'), request);
        setPagingHeaders(c, total);
        const object = rows.map((row) => toJobStat(row, zone));
        return send(c, { message: say(c, `${period}_stats_received`), object, objectType: 'jobstats' });
      },
    );
  }
}

function addRecentAndUpcoming(add: Add, parts: ApiParts): void {
  const lists = [
    { name: 'recent', summary: 'Your jobs that ran last', find: jobServer.getRecentJobs },
    { name: 'upcoming', summary: 'Your jobs that run next', find: jobServer.getUpcomingJobs },
  ] as const;
  for (const { name, summary, find } of lists) {
    add(
      {
        method: 'get',
        path: `/job_server_api/${name}_jobs`,
        operationId: `${name}Jobs`,
        summary,
        query: { count: z.int().optional().openapi({ description: '10; at most 20', example: 10 }) },
        responses: {
          200: { description: 'Jobs', schema: JobArrayMessage },
          406: { description: 'More than 20', schema: JobArrayMessage },
        },
      },
      async (c) => {
        const found = await find(parts, c.get('caller'), countOf(c.get('params')['count']));
        const object = found.map((job) => showJob(c, job));
        return send(c, { message: say(c, `${name}_jobs_received`), object, objectType: 'jobs' });
      },
    );
  }
}

/** However many digits it has: too large is not the same as none. */
const countOf = (value: unknown) =>
  wholeNumber(value) ?? (/^\d{16,}$/.test(String(value).trim()) ? Number.MAX_VALUE : null);
