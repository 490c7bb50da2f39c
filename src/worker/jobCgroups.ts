import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError, type WorkerConfig } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import {
  cgroupsOf,
  emptyCgroup,
  foldersIn,
  isLeft,
  isPopulated,
  killCgroup,
  moveInto,
  RUNNERS,
  removeCgroup,
  removeUnused,
} from '../runner/cgroup.ts';
import { identify, isSame, pidNamespace } from './orphan.ts';
import { findOwnCgroup } from './ownCgroup.ts';

/** The cgroups of this worker's runs: made by its runners, as children of its own. */
export interface JobCgroups {
  directory: string;
  /** Ends what is in the cgroups of a runner that has died, but for daemons, and removes them. */
  end(runner: string): Promise<void>;
  /** After the runners have gone. Daemons that runs have left keep theirs until a next worker finds them empty. */
  close(): void;
}

export type Usable = { parent: string; moveMs: number } | { reason: string };

/** What runs that follow each other closely would wait with each move; a wait after a pause is over before the next start (runCgroups.ts). */
const MOVE_MS_MAX = 2;
const TRIES = 5;
/** Moves that follow each other closely share that wait. */
const PAUSE_MS = 20;

/** @throws {ConfigError} where the settings demand them and they cannot be had */
export async function createJobCgroups(mode: WorkerConfig['jobCgroups'], log: Log): Promise<JobCgroups | null> {
  if (mode === 'off') return null;
  const usable = judge(mode, await tryCgroups());
  if ('reason' in usable) {
    if (mode === 'on') throw new ConfigError([`JOB_CGROUPS: ${usable.reason}`]);
    log.info({ reason: usable.reason }, 'Runs get no cgroups: what leaves its group is found by its environment');
    return null;
  }
  await sweep(usable.parent);
  const { pid, startTicks } = identify(process.pid);
  const directory = join(usable.parent, `${PREFIX}${pid}-${startTicks}`);
  log.info({ directory }, 'Each run gets a cgroup of its own');
  return {
    directory,
    async end(runner) {
      const runs = cgroupsOf(directory, runner);
      await emptyAll(runs);
      for (const run of runs) removeCgroup(run);
    },
    close: () => removeUnused(directory),
  };
}

/** What is possible, and what is wanted: `on` takes what is slow too. */
export function judge(mode: WorkerConfig['jobCgroups'], usable: Usable): Usable {
  if ('reason' in usable || mode === 'on' || usable.moveMs <= MOVE_MS_MAX) return usable;
  const ms = usable.moveMs.toFixed(1);
  return {
    reason: `this kernel takes ${ms} ms to move a process, and a runner would stand still so long for each run`,
  };
}

/** By doing it: a child is put into a cgroup, and killed with it. */
export async function tryCgroups(own = findOwnCgroup()): Promise<Usable> {
  if ('reason' in own) return own;
  const parent = own.path;
  const tried = join(parent, `bjr-try-${process.pid}`);
  const child = spawn('/bin/sh', ['-c', 'read line'], { env: {}, stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    mkdirSync(tried, { recursive: true });
    if (!existsSync(join(tried, 'cgroup.kill'))) return { reason: 'this kernel cannot kill a cgroup (Linux 5.14 can)' };
    const moveMs = await measureMoves(child.pid ?? 0, parent, tried);
    killCgroup(tried);
    await hasEnded(child);
    return { parent, moveMs };
  } catch (error) {
    return { reason: `cgroups cannot be made here: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    child.kill('SIGKILL');
    await hasEnded(child);
    removeCgroup(tried);
  }
}

/** There and back, at best: a busy machine is no slow kernel. */
async function measureMoves(pid: number, parent: string, tried: string): Promise<number> {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let count = 0; count < TRIES; count++) {
    const beganMs = performance.now();
    moveInto(parent, pid);
    moveInto(tried, pid);
    bestMs = Math.min(bestMs, performance.now() - beganMs);
    await delay(PAUSE_MS);
  }
  return bestMs;
}

function hasEnded(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

const PREFIX = `bjr-${pidNamespace()}-`;

/**
 * What workers that died have left: commands, where their runners died with them, are ended. Of another pid namespace
 * nobody can tell who is alive.
 */
async function sweep(parent: string): Promise<void> {
  const found = foldersIn(parent).filter((name) => name.startsWith(PREFIX) && !isWorking(join(parent, name), name));
  await Promise.all(found.map((name) => sweepOne(join(parent, name))));
}

function isWorking(directory: string, name: string): boolean {
  const [pid = '', startTicks = ''] = name.slice(PREFIX.length).split('-');
  // Runners that have lost their worker are ending their commands.
  return isSame({ pid: Number(pid), startTicks }) || isPopulated(join(directory, RUNNERS));
}

async function sweepOne(directory: string): Promise<void> {
  const runs = foldersIn(directory).map((name) => join(directory, name));
  await emptyAll(runs);
  removeUnused(directory);
}

/** All but what runs that ended by themselves have left. */
async function emptyAll(runs: string[]): Promise<void> {
  await Promise.all(runs.filter((run) => !isLeft(run)).map(emptyCgroup));
}
