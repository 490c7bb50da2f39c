import { readFileSync } from 'node:fs';

/** A process by more than its pid, which the system gives out again. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks from boot to start (field 22 of /proc/PID/stat, proc(5)); null where there is no /proc. */
  startTicks: string | null;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, startTicks: readStartTicks(pid) };
}

/** Whether the process that was identified still runs, rather than another that got its pid. */
export function isSame({ pid, startTicks }: ProcessIdentity): boolean {
  if (startTicks !== null) return readStartTicks(pid) === startTicks;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Kills the process group of a command whose runner has died, if the group's leader is still the same process. */
export function endOrphan({ pid, startTicks }: ProcessIdentity): void {
  const now = readStartTicks(pid);
  if (now !== null && now !== startTicks) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: it has ended already.
  }
}

function readStartTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field, the program's name in brackets, may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
