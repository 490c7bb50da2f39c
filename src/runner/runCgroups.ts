import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  cgroupOf,
  emptyCgroup,
  killCgroup,
  markLeft,
  moveInto,
  RUNNERS,
  removeCgroup,
  removeUnused,
} from './cgroup.ts';

/** The cgroup of one run. */
export interface RunCgroup {
  kill(): void;
  /** Kills what is in it, and waits until it has gone. */
  empty(): Promise<void>;
  /** Where something may stay (a daemon), a later run's removal takes it along. */
  remove(): void;
}

export interface RunCgroups {
  /** A new one, with this process in it: whatever is forked before the next call of any of these is. Null where none can be had. */
  open(): RunCgroup | null;
  /** This process goes back to where no run is, and stays: others may look whether it lives. */
  goHome(): void;
  /** Removes what nobody is in; this process leaves too. */
  close(): void;
}

const none: RunCgroups = { open: () => null, goHome: () => {}, close: () => {} };

/** By then a quick command has ended, and its end has moved this process on. */
const PREPARE_MS = 50;

/**
 * `directory`: of this worker's cgroups; '' for none. `runner`: its name, for theirs. A fork is where its parent is, so
 * this process goes into the cgroup of a run to start its command. The kernel may make it wait for that, 10 ms on a machine
 * that has nothing else to do (RCU; Linux: cgroup_procs_write_start), so it waits for the next start in the next run's already:
 * it moves on when its last command has ended, or has run for a while.
 */
export function createRunCgroups(directory: string, runner: string): RunCgroups {
  if (directory === '') return none;
  const home = join(directory, RUNNERS);
  const left = new Set<string>();
  let at = '';
  /** Where this process is or was about to be, and no run has been. */
  let prepared: string | null = null;
  let count = 0;
  let isAtHome = false;
  let hasComplained = false;
  let timer: NodeJS.Timeout | undefined;

  /** Complains once for all tries until one succeeds. */
  const goTo = (cgroup: string): boolean => {
    if (at === cgroup) return true;
    try {
      mkdirSync(cgroup, { recursive: true });
      moveInto(cgroup);
      at = cgroup;
      return true;
    } catch (error) {
      if (!hasComplained) console.error(`No cgroups for runs: ${messageOf(error)}`);
      hasComplained = true;
      return false;
    }
  };

  const prepare = (): boolean => {
    if (isAtHome) return false;
    prepared ??= cgroupOf(directory, runner, ++count);
    if (goTo(prepared)) {
      hasComplained = false;
      return true;
    }
    // Else the next command would be in the last one's.
    goTo(home);
    return false;
  };

  const goHome = () => {
    clearTimeout(timer);
    isAtHome = true;
    goTo(home);
  };

  /** False: it would be killed itself. */
  const leave = (cgroup: string): boolean => {
    if (at === cgroup) prepare();
    return at !== cgroup;
  };

  /** One at a time: what many daemons are in would be looked at with each run. */
  const removeOneLeft = () => {
    const [oldest] = left;
    if (oldest === undefined) return;
    left.delete(oldest);
    if (!removeCgroup(oldest)) left.add(oldest);
  };

  const open = (): RunCgroup | null => {
    if (!prepare()) return null;
    const cgroup = at;
    prepared = null;
    clearTimeout(timer);
    timer = setTimeout(prepare, PREPARE_MS);
    return {
      kill: () => void (leave(cgroup) && attempt('A cgroup cannot be killed', () => killCgroup(cgroup))),
      empty: async () => {
        if (leave(cgroup)) await emptyCgroup(cgroup);
      },
      remove() {
        removeOneLeft();
        if (!leave(cgroup) || removeCgroup(cgroup)) return;
        attempt('A cgroup cannot be marked', () => markLeft(cgroup));
        left.add(cgroup);
      },
    };
  };

  const close = () => {
    clearTimeout(timer);
    attempt('A runner cannot leave its cgroup', () => moveInto(dirname(directory)));
    attempt('The cgroups of runs cannot be removed', () => removeUnused(directory));
  };

  attempt('There is no cgroup for runners', () => mkdirSync(home, { recursive: true }));
  prepare();
  return { open, goHome, close };
}

function attempt(what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    console.error(`${what}: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
