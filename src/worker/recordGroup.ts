import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import type { Database } from '../store/database.ts';
import { type Recorded, type RunOutcome, recordOutcome, recordOutcomes } from '../store/recordOutcome.ts';

/** Records outcomes, many in one transaction where many come at once. Rejects where this one could not be recorded. */
export type RecordInGroups = (outcome: RunOutcome) => Promise<Recorded>;

/** Their jobs stay locked until the last is written. A hundred cost a run little more than a thousand would. */
const GROUP_MAX = 100;
/** Of their outputs together, of which a statement may hold twice as many bytes: MariaDB takes 16 MiB by default. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024;

/** From the beginning of a group to that of the next, where outcomes keep coming: what comes meanwhile gathers. */
const APART_MS = 40;

interface Waiting {
  outcome: RunOutcome;
  bytes: number;
  resolve(recorded: Recorded | Promise<Recorded>): void;
}

/**
 * An outcome that comes alone is written at once, and so is a full group. What a group does not
 * settle is tried alone at once: one that cannot be recorded, or whose job's row is held by another, holds up no other.
 */
export function createRecordInGroups({ db, log }: { db: Database; log: Log }): RecordInGroups {
  const waiting: Waiting[] = [];
  let isWriting = false;

  const writeAll = async () => {
    while (waiting.length > 0) {
      const nextAtMs = monotonicMs() + APART_MS;
      await writeGroup(takeGroup(waiting));
      const leftMs = nextAtMs - monotonicMs();
      if (leftMs > 0 && waiting.length < GROUP_MAX) await delay(leftMs);
    }
    isWriting = false;
  };

  const writeGroup = async (group: Waiting[]) => {
    const outcomes = group.map(({ outcome }) => outcome);
    const results = await recordOutcomes(db, outcomes).catch((error: unknown) => {
      if (group.length === 1) return [Promise.reject<Recorded>(error)];
      log.warn({ err: error, runs: group.length }, 'A group of outcomes could not be recorded; each is tried alone');
      return [];
    });
    for (const [at, { outcome, resolve }] of group.entries()) {
      const recorded = results[at];
      resolve(recorded ?? recordOutcome(db, outcome));
    }
  };

  return (outcome) =>
    new Promise((resolve) => {
      waiting.push({ outcome, bytes: bytesOf(outcome), resolve });
      if (isWriting) return;
      isWriting = true;
      // What comes in the same turn goes together.
      setImmediate(() => void writeAll());
    });
}

const bytesOf = ({ output }: RunOutcome) => Buffer.byteLength(output.stdout) + Buffer.byteLength(output.stderr);

/** The oldest first; one that is too large for any group goes alone. */
function takeGroup(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  const tooMany = waiting.findIndex((one, at) => {
    bytes += one.bytes;
    return at === GROUP_MAX || (at > 0 && bytes > GROUP_BYTES_MAX);
  });
  return waiting.splice(0, tooMany === -1 ? waiting.length : tooMany);
}
