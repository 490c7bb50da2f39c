import type { Context, MiddlewareHandler } from 'hono';
import { AppError } from '../../domain/errors.ts';
import { cronProblems } from '../../domain/job.ts';
import { problemIf } from '../../domain/problem.ts';
import { previewSchedule, type SchedulePreview } from '../../domain/schedulePreview.ts';
import { formatInZone } from '../../domain/timezone.ts';
import { envelopeOf, send } from '../envelope.ts';
import { dateOf, integerOf, textOf } from '../inputs.ts';
import { say } from '../messages/say.ts';
import { type Api, addOperation } from '../operation.ts';
import { DateTime } from '../schemas/common.ts';
import type { ApiEnv } from '../types.ts';
import { z } from '../zod.ts';

const COUNT = { default: 10, min: 1, max: 100 };

const PreviewIn = z
  .object({
    cron: z.string().openapi({ example: '30 2 * * *' }),
    timezone: z.string().optional().openapi({ example: 'Europe/Berlin' }),
    count: z.int().optional().openapi({ minimum: COUNT.min, maximum: COUNT.max, description: 'Occurrences: 10' }),
    from: z.string().optional().openapi({ description: 'Where to begin: now', example: '2027-03-27' }),
  })
  .openapi('SchedulePreviewIn');

const Preview = z
  .object({
    description: z.string().optional().openapi({ example: 'At 02:30', description: 'In words' }),
    kind: z
      .enum(['fixed', 'interval'])
      .openapi({ description: 'Where the clock changes, an interval follows real time, fixed times the wall clock' }),
    occurrences: z.array(
      z
        .object({
          at: DateTime,
          note: z.string().optional().openapi({ description: 'What a change of the clock does to it' }),
        })
        .openapi('PreviewedOccurrence'),
    ),
  })
  .openapi('SchedulePreview');

/** What a schedule means, before a job has it. */
export function addSchedules(api: Api, guards: MiddlewareHandler<ApiEnv>[]): void {
  addOperation(
    api,
    {
      method: 'post',
      path: '/schedule_api/preview',
      operationId: 'previewSchedule',
      tag: 'Schedules',
      summary: 'Shows when an expression occurs in a zone, and what changes of the clock do to it',
      body: PreviewIn,
      responses: {
        200: { description: 'The next occurrences', schema: envelopeOf(Preview, 'SchedulePreviewMessage') },
        422: { description: 'A field has a value that cannot be' },
      },
    },
    guards,
    (c) => {
      const object = show(c, previewSchedule(requestOf(c)));
      return send(c, { message: say(c, 'schedule_previewed'), object, objectType: 'schedulepreview' });
    },
  );
}

function requestOf(c: Context<ApiEnv>) {
  const [params, timezone, language] = [c.get('params'), c.get('timezone'), c.get('language')];
  const cron = textOf(params, 'cron') ?? '';
  const count = integerOf(params, 'count') ?? COUNT.default;
  const isOutside = count < COUNT.min || count > COUNT.max;
  const problems = [
    ...cronProblems({ cron, timezone }),
    ...problemIf(isOutside, 'out_of_range', 'count', { limit: `${COUNT.min}–${COUNT.max}` }),
  ];
  if (problems.length > 0) throw new AppError({ code: 'invalid', problems });
  return { cron, timezone, count, language, from: dateOf(c, 'from') ?? new Date() };
}

function show(c: Context<ApiEnv>, { description, kind, occurrences }: SchedulePreview): z.infer<typeof Preview> {
  const timezone = c.get('timezone');
  return {
    ...(description !== null && { description }),
    kind,
    occurrences: occurrences.map(({ at, changedClock }) => {
      const shown = formatInZone(at, timezone);
      const key = changedClock === 'repeated' ? (`clock_repeated_${kind}` as const) : 'clock_skipped';
      const local = changedClock === 'repeated' ? shown.slice(11, 16) : lastSkippedDay(shown);
      return { at: shown, ...(changedClock && { note: say(c, key, { local }) }) };
    }),
  };
}

/** The day of the second before a wall clock's reading: what comes right after a gap may begin another day than it skipped. */
const lastSkippedDay = (shown: string) =>
  new Date(Date.parse(`${shown.slice(0, 19)}Z`) - 1000).toISOString().slice(0, 10);
