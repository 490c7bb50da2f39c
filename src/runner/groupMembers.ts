import { readdirSync, readFileSync } from 'node:fs';

/**
 * Whether a process group has a member that is not a zombie. In a container whose first process does not reap orphans, a
 * group's dead members stay for ever, and kill(-pid, 0) goes on finding them. Where there is no /proc: true.
 */
export function hasLivingMember(pid: number): boolean {
  try {
    return readdirSync('/proc').some((entry) => /^\d/.test(entry) && isLivingMember(entry, pid));
  } catch {
    return true;
  }
}

/** The fields of /proc/PID/stat after the program's name in brackets (which may hold anything): state, parent, group. */
function isLivingMember(entry: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
    const [state, , memberOf] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 3);
    return memberOf === String(group) && state !== 'Z' && state !== 'X';
  } catch {
    // It ended while its folder was being read.
    return false;
  }
}
