import { randomUUID } from 'node:crypto';
import { constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../platform/log.ts';
import { errorCode } from '../store/database.ts';
import type { RunOutcome } from '../store/recordOutcome.ts';
import type { UnstartedRun } from '../store/releaseLease.ts';
import { identify, isSame, type ProcessIdentity } from './orphan.ts';

/**
 * Outcomes that the database could not take yet, on disk: a file each, written whole (a draft, synced, renamed). They
 * survive this process; whoever finds those of a dead one records them, and the fencing token decides whether they count.
 */
export interface Spool {
  /** False where it could not be written, because the disk is full, say: it is in memory only. */
  keep(kept: Kept): Promise<boolean>;
  /** It has been recorded, or refused. Without effect where it was not kept. */
  forget(outcome: SpoolKey): Promise<void>;
  /** How many are there, of this process or another; null where nobody can tell. */
  count(): Promise<number | null>;
  /** What processes that are gone have left. */
  findLeft(): Promise<Kept[]>;
}

/** How a run ended, or that a claimed one was never started: its lease is to be given back. */
export type Kept = { outcome: RunOutcome } | { unstarted: UnstartedRun };

export type SpoolKey = Pick<RunOutcome, 'runId' | 'leaseToken'>;

type SpoolFile = Kept & { owner: ProcessIdentity };

const SUFFIX = '.outcome.json';

/** @throws where the directory cannot be made or written: a worker without one would lose outcomes in silence */
export function createSpool(directory: string, log: Log, owner = identify(process.pid)): Spool {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  requireWritable(directory);
  const pathOf = ({ runId, leaseToken }: SpoolKey) => join(directory, `${runId}-${leaseToken}${SUFFIX}`);

  const list = async () => (await readdir(directory)).filter((name) => name.endsWith(SUFFIX));

  const read = async (name: string): Promise<SpoolFile | null> => {
    const path = join(directory, name);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      // ENOENT: recorded by another process meanwhile. Anything else (too many open files, say) may be over the next time.
      if (errorCode(error) !== 'ENOENT') log.error({ err: error, path }, 'A kept outcome cannot be read now');
      return null;
    });
    try {
      return text === null ? null : parse(text);
    } catch (error) {
      // Damaged: put aside, so that a person can look.
      log.error({ err: error, path }, 'A kept outcome cannot be understood');
      await rename(path, `${path}.unreadable`).catch(() => {});
      return null;
    }
  };

  return {
    async keep(kept) {
      const key = 'outcome' in kept ? kept.outcome : kept.unstarted;
      const draft = join(directory, `${randomUUID()}.draft`);
      try {
        await writeSynced(draft, JSON.stringify({ owner, ...kept } satisfies SpoolFile));
        await rename(draft, pathOf(key));
        await syncDirectory(directory);
        return true;
      } catch (error) {
        log.error({ err: error, runId: key.runId, directory }, 'The outcome cannot be kept on disk');
        await rm(draft, { force: true }).catch(() => {});
        return false;
      }
    },
    async forget(key) {
      await rm(pathOf(key), { force: true }).catch((error: unknown) =>
        log.error({ err: error, path: pathOf(key) }, 'A recorded outcome cannot be removed'),
      );
    },
    count: () =>
      list().then(
        (names) => names.length,
        () => null,
      ),
    async findLeft() {
      const names = await list();
      const left: Kept[] = [];
      for (const name of names) {
        const file = await read(name);
        if (file && !isSame(file.owner)) left.push(file);
      }
      return left;
    },
  };
}

/** It may be there and belong to another user, or lie on a disk that is mounted read-only. */
function requireWritable(directory: string): void {
  const draft = join(directory, `${randomUUID()}.draft`);
  writeFileSync(draft, '', { mode: 0o600 });
  rmSync(draft);
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on disk once its directory is (fsync(2)). */
async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(directory, constants.O_RDONLY);
    await handle.sync();
  } finally {
    await handle?.close();
  }
}

const date = (value: Date | null) => (value === null ? null : new Date(value));

function parse(text: string): SpoolFile {
  const file = JSON.parse(text) as SpoolFile;
  if ('unstarted' in file) {
    const { unstarted } = file;
    return { ...file, unstarted: { ...unstarted, scheduledFor: date(unstarted.scheduledFor) } };
  }
  const { owner, outcome } = file;
  const [startedAt, finishedAt] = [date(outcome.startedAt), date(outcome.finishedAt)];
  if (!startedAt || !finishedAt || Number.isNaN(startedAt.getTime() + finishedAt.getTime()))
    throw new Error('No dates');
  return { owner, outcome: { ...outcome, startedAt, finishedAt, scheduledFor: date(outcome.scheduledFor) } };
}
