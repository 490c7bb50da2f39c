import { setTimeout as delay } from 'node:timers/promises';
import { hasLivingMember } from './groupMembers.ts';

/**
 * The process group that a command leads. While any member lives, the kernel gives the leader's pid to nobody else, so a
 * group that answers is the run's own. Once it has been seen empty, nothing is ever sent to that number again.
 */
export interface ProcessGroup {
  /** TERM now, KILL after the grace to what is left. Called again it may only bring the KILL forward. */
  end(graceMs: number): void;
  /**
   * To be called at once when the leader has been reaped, before the pid can have come round again: what it left gets a
   * moment, then is ended. Resolves when nothing is left, or when the kernel will not let go of it.
   */
  clear(): Promise<void>;
}

/** For what bash does not wait for, such as `> >(tee log)`: how long it may go on after the command itself. */
const LEFTOVER_MS = 1000;
/** For what is still there then, from TERM to KILL. */
const LEFTOVER_GRACE_MS = 1000;
/** A killed process goes at once unless the kernel holds it (a hung mount); no run waits for that. */
const KILL_WAIT_MS = 2000;
const POLL_MS_MIN = 5;
const POLL_MS_MAX = 100;

/** `killRest`: called with each KILL, for what is the run's and not in its group. */
export function createProcessGroup(pid: number, killRest: () => void): ProcessGroup {
  let isOver = false;
  let killAtMs = Number.POSITIVE_INFINITY;
  let killTimer: NodeJS.Timeout | undefined;

  const kill = () => {
    if (isOver) return;
    signalGroup(pid, 'SIGKILL');
    killRest();
  };

  const end = (graceMs: number) => {
    if (isOver) return;
    if (killAtMs === Number.POSITIVE_INFINITY) signalGroup(pid, 'SIGTERM');
    const atMs = performance.now() + graceMs;
    if (atMs >= killAtMs) return;
    killAtMs = atMs;
    clearTimeout(killTimer);
    killTimer = setTimeout(kill, graceMs);
  };

  const endLeftovers = () => {
    if (killAtMs === Number.POSITIVE_INFINITY) end(LEFTOVER_GRACE_MS);
  };

  return {
    end,
    async clear() {
      if (!isAlive(pid, 0)) isOver = true;
      if (isOver) return clearTimeout(killTimer);
      const leftoverTimer = setTimeout(endLeftovers, LEFTOVER_MS);
      // Nothing but asking tells of processes that are not children of one's own.
      for (let pauseMs = POLL_MS_MIN; isAlive(pid, pauseMs); pauseMs = Math.min(pauseMs * 2, POLL_MS_MAX)) {
        if (performance.now() > killAtMs + KILL_WAIT_MS) break;
        await delay(pauseMs);
      }
      isOver = true;
      clearTimeout(leftoverTimer);
      clearTimeout(killTimer);
    },
  };
}

/** ESRCH: the group is gone, which is what was wanted. EPERM: what is left runs as another user (sudo) and stays. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/** A dead member that nobody reaps still answers; the first, quick looks do not pay for finding that out. */
const isAlive = (pid: number, pauseMs: number) =>
  signalGroup(pid, 0) && (pauseMs < POLL_MS_MIN * 8 || hasLivingMember(pid));
