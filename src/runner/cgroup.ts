import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/*
 * Cgroups of version 2 (Linux: Documentation/admin-guide/cgroup-v2.rst). A run's processes stay in its cgroup whatever they
 * do: a session of their own, another environment, another user. All of them are killed by one write.
 */

/** Where a worker's runners are, beside the cgroups of its runs. */
export const RUNNERS = 'runners';
/** `runner`: whose run it is, a name of its own among those of the worker's. */
export const cgroupOf = (directory: string, runner: string, count: number) => join(directory, `run-${runner}-${count}`);
/** None where the last runner has taken the directory along. */
export const cgroupsOf = (directory: string, runner: string) =>
  (existsSync(directory) ? foldersIn(directory) : [])
    .filter((name) => name.startsWith(`run-${runner}-`))
    .map((name) => join(directory, name));

/** A killed process goes at once unless the kernel holds it (a hung mount); no run waits for that. */
const KILL_WAIT_MS = 2000;
const POLL_MS_MIN = 2;
const POLL_MS_MAX = 100;

export function moveInto(cgroup: string, pid = 0): void {
  writeFileSync(join(cgroup, 'cgroup.procs'), String(pid));
}

/** KILL to every process in it and below, whoever it runs as: also where kill(2) would not be allowed. */
export function killCgroup(cgroup: string): void {
  if (existsSync(cgroup)) writeFileSync(join(cgroup, 'cgroup.kill'), '1');
}

/** Whether a process that is not a zombie is in it or below. */
export function isPopulated(cgroup: string): boolean {
  try {
    return /^populated 1$/m.test(readFileSync(join(cgroup, 'cgroup.events'), 'utf8'));
  } catch {
    return false;
  }
}

/** Kills what is in it. Resolves when that has gone, or when the kernel will not let go of it. */
export async function emptyCgroup(cgroup: string): Promise<void> {
  const untilMs = performance.now() + KILL_WAIT_MS;
  killCgroup(cgroup);
  for (let pauseMs = POLL_MS_MIN; isPopulated(cgroup); pauseMs = Math.min(pauseMs * 2, POLL_MS_MAX)) {
    if (performance.now() > untilMs) return;
    await delay(pauseMs);
  }
}

/** False where it is in use: then nothing has been removed. What a command made below its own goes with it. */
export function removeCgroup(cgroup: string): boolean {
  if (isPopulated(cgroup)) return false;
  try {
    removeFolders(cgroup);
    return true;
  } catch {
    // Somebody came in meanwhile, or it has gone.
    return !existsSync(cgroup);
  }
}

/** Those in a worker's directory that nobody is in, then the directory if none is left. */
export function removeUnused(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of foldersIn(directory)) removeCgroup(join(directory, name));
  removeCgroup(directory);
}

/** The files of a cgroup cannot be deleted, and go with it. */
function removeFolders(cgroup: string): void {
  for (const entry of foldersIn(cgroup)) removeFolders(join(cgroup, entry));
  rmdirSync(cgroup);
}

export const foldersIn = (cgroup: string) =>
  readdirSync(cgroup, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? entry.name : []));

/** A cgroup in this one says so: its run has ended by itself, and what it left (a daemon) may stay. Nothing else can be kept there. */
const MARK = 'left';

export function markLeft(cgroup: string): void {
  mkdirSync(join(cgroup, MARK), { recursive: true });
}

export const isLeft = (cgroup: string) => existsSync(join(cgroup, MARK));
