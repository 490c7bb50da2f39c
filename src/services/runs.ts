import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../domain/errors.ts';
import type { Cancels } from '../redis/cancels.ts';
import type { KeptPart, LiveOutput } from '../redis/liveOutput.ts';
import { insertAuditEntry } from '../store/auditEntries.ts';
import { requestCancel } from '../store/cancelRun.ts';
import { listMisfires } from '../store/listMisfires.ts';
import { type FullRun, findEnd, findOutput, findRun } from '../store/runs.ts';
import { getJob, ownerOf } from './jobs.ts';
import type { Caller, Page, ServiceParts } from './services.ts';

export interface RunParts extends ServiceParts {
  cancels: Cancels;
  liveOutput: LiveOutput;
}

/** @throws {AppError} run_not_found */
export async function getRun({ db }: ServiceParts, caller: Caller, id: number): Promise<FullRun> {
  const run = await findRun(db, { id, userId: ownerOf(caller) });
  if (!run) throw new AppError({ code: 'run_not_found' });
  return run;
}

/** Has a run under way ended with its whole tree of processes; asked again, it does no more. @throws {AppError} run_ended */
export async function cancelRun(parts: RunParts, caller: Caller, id: number): Promise<void> {
  await getRun(parts, caller, id);
  await parts.db.transact(async (tx) => {
    if (!(await requestCancel(tx, id))) throw new AppError({ code: 'run_ended', runId: id });
    await insertAuditEntry(tx, caller, { operation: 'cancel', kind: 'run', objectId: id, before: null, after: null });
  });
  await parts.cancels.send(id);
}

export async function getMisfires(parts: ServiceParts, caller: Caller, { jobId, page }: { jobId: number; page: Page }) {
  await getJob(parts, caller, jobId);
  return listMisfires(parts.db, { jobId, ...page });
}

/** What a run has printed so far, as far as it is kept, with a line where something is not; '' where Redis is away. */
export async function readLiveText(
  parts: RunParts,
  { runId, stream }: { runId: number; stream: KeptPart['stream'] },
): Promise<string> {
  let text = '';
  let heard = 0;
  for await (const part of keptAfter(parts, runId, FIRST_ID)) {
    if (part.stream !== stream) continue;
    if (part.start > heard) text += `\n[… ${part.start - heard} bytes left out …]\n`;
    text += part.text;
    heard = part.end;
  }
  return text;
}

const FIRST_ID = '0-0';

/** Where a follower is: the last part that it has heard, and how many bytes of each stream lie before its end. */
export interface Place {
  id: string;
  stdout: number;
  stderr: number;
}

const BEGINNING: Place = { id: FIRST_ID, stdout: 0, stderr: 0 };

/** What a follower hears: what the command prints, once that it cannot be had any more, and how the run ended. */
export type FollowEvent =
  | { type: 'output'; place?: Place; stream: KeptPart['stream']; text: string; skipped: number }
  | { type: 'restart' }
  | { type: 'end'; outcome: string; returnCode: number };

export interface Follow {
  runId: number;
  /** Null: from the beginning. */
  after: Place | null;
  signal: AbortSignal;
}

/**
 * The output of a run from a place on, as it comes, and its end. Of a command that prints much only the newest is kept while it
 * runs: `skipped` says how many bytes before a part could not be told. One poll a quarter of a second for each follower, by
 * the connection that all share: blocking reads would take a connection each.
 */
export async function* followRun(parts: RunParts, { runId, after, signal }: Follow): AsyncGenerator<FollowEvent> {
  let place = after ?? BEGINNING;
  let wasLive = false;
  while (!signal.aborted) {
    // The end first: what was printed before it is there by then.
    const end = await findEnd(parts.db, runId);
    const hasEnded = !end || end.outcome !== null;
    if (hasEnded && !wasLive && !(await isKeptWhole(parts, runId, place))) {
      yield* recorded(parts, runId, after !== null);
      yield endOf(end);
      return;
    }
    for await (const part of keptAfter(parts, runId, place.id)) {
      const { id, stream, text } = part;
      const skipped = Math.max(0, part.start - place[stream]);
      place = { ...place, id, [stream]: part.end };
      yield { type: 'output', place, stream, text, skipped };
    }
    if (hasEnded) {
      // Nothing was live: it was over too soon, or Redis was away.
      if (place.id === FIRST_ID) yield* recorded(parts, runId, false);
      yield endOf(end);
      return;
    }
    wasLive = true;
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

const POLL_MS = 250;

const endOf = (end: Awaited<ReturnType<typeof findEnd>>): FollowEvent => ({
  type: 'end',
  outcome: end?.outcome ?? 'lost',
  returnCode: end?.returnCode ?? -1,
});

async function* keptAfter({ liveOutput }: RunParts, runId: number, afterId: string): AsyncGenerator<KeptPart> {
  for (let id = afterId; ; ) {
    const found = (await liveOutput.readAfter(runId, id)) ?? [];
    yield* found;
    const last = found.at(-1);
    if (!last) return;
    id = last.id;
  }
}

/** Whether what a run that is over had printed beyond a place is still there without a gap. */
async function isKeptWhole(parts: RunParts, runId: number, from: Place): Promise<boolean> {
  let place = from;
  let hasAny = false;
  for await (const { id, stream, start, end } of keptAfter(parts, runId, FIRST_ID)) {
    hasAny = true;
    if (isAfter(id, from.id)) {
      if (start > place[stream]) return false;
      place = { ...place, [stream]: end };
    }
  }
  return hasAny;
}

/** By the number of milliseconds, then by the one within them (Redis streams). */
function isAfter(id: string, other: string): boolean {
  const [[ms = 0, nth = 0], [otherMs = 0, otherNth = 0]] = [id, other].map((one) => one.split('-').map(Number)) as [
    number[],
    number[],
  ];
  return ms > otherMs || (ms === otherMs && nth > otherNth);
}

async function* recorded({ db }: RunParts, runId: number, hasHeard: boolean): AsyncGenerator<FollowEvent> {
  if (hasHeard) yield { type: 'restart' };
  const output = await findOutput(db, runId);
  for (const stream of ['stdout', 'stderr'] as const) {
    const text = output?.[stream];
    if (text) yield { type: 'output', stream, text, skipped: 0 };
  }
}
