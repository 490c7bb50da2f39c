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
  /** Before its command is started: whatever this process forks from now on is in it. */
  enter(): void;
  kill(): void;
  /** Kills what is in it, and waits until it has gone. */
  empty(): Promise<void>;
  /** Where something may stay (a daemon), a later run's removal takes it along. */
  remove(): void;
}

export interface RunCgroups {
  /** Null where none can be had. */
  open(runId: number): RunCgroup | null;
  /** This process goes back to where no run is: others may look whether it lives. */
  goHome(): void;
  /** Removes what nobody is in; this process leaves too. */
  close(): void;
}

const none: RunCgroups = { open: () => null, goHome: () => {}, close: () => {} };

/**
 * `directory`: of this worker's cgroups; '' for none. A fork is where its parent is, so this process goes into the cgroup of
 * a run to start its command. It stays until the next start, or until that cgroup is to be killed or removed: on a busy
 * machine a move took 1 to 2 ms, a start 9.
 */
export function createRunCgroups(directory: string): RunCgroups {
  if (directory === '') return none;
  const home = join(directory, RUNNERS);
  const left = new Set<string>();
  let at = home;
  let isUsable = attempt('This runner has no cgroups', () => {
    mkdirSync(home, { recursive: true });
    moveInto(home);
  });

  const goTo = (cgroup: string) => {
    if (at === cgroup) return true;
    isUsable = isUsable && attempt('Runs get no cgroups any more', () => moveInto(cgroup));
    if (isUsable) at = cgroup;
    return isUsable;
  };
  /** False: it would be killed itself. */
  const leave = (cgroup: string) => at !== cgroup || goTo(home);

  /** One at a time: what many daemons are in would be looked at with each run. */
  const removeOneLeft = () => {
    const [oldest] = left;
    if (oldest === undefined) return;
    left.delete(oldest);
    if (!removeCgroup(oldest)) left.add(oldest);
  };

  const open = (runId: number): RunCgroup | null => {
    const cgroup = cgroupOf(directory, runId);
    isUsable = isUsable && attempt('Runs get no cgroups any more', () => void mkdirSync(cgroup, { recursive: true }));
    if (!isUsable) return null;
    return {
      enter: () => void goTo(cgroup),
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
    if (!isUsable) return;
    attempt('A runner cannot leave its cgroup', () => moveInto(dirname(directory)));
    removeUnused(directory);
  };

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
