import { setTimeout as delay } from 'node:timers/promises';

/**
 * A command leads a process group of its own; signals go to the whole group. While any member lives, the kernel gives the
 * leader's pid to nobody else, so a group that still answers is the run's own.
 */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: the group is gone, which is what was wanted. EPERM: what is left runs as another user (sudo) and stays.
  }
}

export function isGroupAlive(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

const POLL_MS = 10;

/** True once no member is left; false when the time is over. Nothing but asking tells of processes that are not children. */
export async function awaitGroupEnd(pid: number, timeoutMs: number): Promise<boolean> {
  for (let waitedMs = 0; isGroupAlive(pid); waitedMs += POLL_MS) {
    if (waitedMs >= timeoutMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** TERM to the group, KILL after the grace to what is left of it. */
export async function endGroup(pid: number, graceMs: number): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  if (await awaitGroupEnd(pid, graceMs)) return;
  signalGroup(pid, 'SIGKILL');
  await awaitGroupEnd(pid, KILL_WAIT_MS);
}

/** A killed process goes at once unless the kernel holds it (a hung mount); no run waits for that. */
const KILL_WAIT_MS = 2000;
