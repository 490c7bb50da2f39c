import { readFileSync, readlinkSync } from 'node:fs';

/** A process by more than its pid, which the system gives out again. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks from boot to start (field 22 of /proc/PID/stat, proc(5)); null where there is no /proc. */
  startTicks: string | null;
  /**
   * Where these two say who it is: a boot of a machine, and a pid namespace (container) of it. After a reboot, or in another
   * container, a second process may have the same. Not given: this one.
   */
  place?: string;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, startTicks: readStartTicks(pid), place: PLACE };
}

/** Whether the process that was identified still runs, rather than another that got its pid. One of elsewhere does not. */
export function isSame({ pid, startTicks, place = PLACE }: ProcessIdentity): boolean {
  if (place !== PLACE) return false;
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

/** As a number, which the kernel may give to another when this one has gone; '' where there is no /proc. */
export function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
  } catch {
    return '';
  }
}

function readBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

const PLACE = `${readBoot()} ${pidNamespace()}`;
