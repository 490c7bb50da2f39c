import { attempt, type Redis } from './connection.ts';

/** Something a command has printed: the bytes from `start` to `end` of the stream. What is between two parts nobody is told. */
interface OutputPart {
  stream: 'stdout' | 'stderr';
  text: string;
  start: number;
  end: number;
}

/** A part of a run's output as it is kept for followers; ids grow. */
export interface KeptPart extends OutputPart {
  id: string;
}

/** The newest output of the runs under way. It is a view: the whole of it, within its limit, is recorded with the run. */
export interface LiveOutput {
  append(runId: number, part: OutputPart): Promise<void>;
  /** The parts after an id, oldest first; null where Redis is away. */
  readAfter(runId: number, id: string): Promise<KeptPart[] | null>;
}

/** Parts a run: at most 3 MiB of a command that floods, mostly some kilobytes. */
const PARTS_MAX = 200;
const KEPT_MS = 600_000;
const READ_MAX = 50;

export function createLiveOutput(redis: Redis, prefix: string): LiveOutput {
  const keyOf = (runId: number) => `${prefix}output:${runId}`;
  return {
    async append(runId, { stream, text, start, end }) {
      const key = keyOf(runId);
      await attempt(() =>
        redis
          .multi()
          .xadd(key, 'MAXLEN', '~', PARTS_MAX, '*', 'stream', stream, 'text', text, 'start', start, 'end', end)
          .pexpire(key, KEPT_MS)
          .exec(),
      );
    },
    readAfter: (runId, id) =>
      attempt(async () => {
        const entries = await redis.xrange(keyOf(runId), `(${id}`, '+', 'COUNT', READ_MAX);
        return entries.map(([entryId, fields]) => toPart(entryId, fields));
      }),
  };
}

function toPart(id: string, fields: string[]): KeptPart {
  const field = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
  const stream = field('stream') === 'stderr' ? 'stderr' : 'stdout';
  // The text is read by its place: it may be one of the names.
  return { id, stream, text: fields[3] ?? '', start: Number(fields[5]), end: Number(fields[7]) };
}
