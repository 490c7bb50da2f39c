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
  /** This process goes back to where no run is: others may look whether it lives. */
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
  let isUsable = true;
  let timer: NodeJS.Timeout | undefined;

  const goTo = (cgroup: string) => {
    if (at === cgroup) return true;
    isUsable &&= attempt('Runs get no cgroups any more', () => {
      mkdirSync(cgroup, { recursive: true });
      moveInto(cgroup);
    });
    if (isUsable) at = cgroup;
    return isUsable;
  };
  const prepare = () => {
    prepared ??= cgroupOf(directory, runner, ++count);
    return goTo(prepared);
  };
  /** False: it would be killed itself. */
  const leave = (cgroup: string) => at !== cgroup || prepare();

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
        leave(cgroup);
        if (removeCgroup(cgroup)) return;
        attempt('A cgroup cannot be marked', () => markLeft(cgroup));
        left.add(cgroup);
      },
    };
  };

  const close = () => {
    clearTimeout(timer);
    if (!isUsable) return;
    attempt('A runner cannot leave its cgroup', () => moveInto(dirname(directory)));
    removeUnused(directory);
  };

  attempt('This runner has no cgroups', () => mkdirSync(home, { recursive: true }));
  prepare();
  return { open, goHome: () => void goTo(home), close };
}

function attempt(what: string, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    console.error(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
