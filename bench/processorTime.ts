import { readdirSync, readFileSync } from 'node:fs';

/** Linux tells it in ticks of 10 ms (proc_pid_stat(5), USER_HZ). */
const TICK_MS = 10;

/**
 * Processor time of processes and of the children that they have waited for, milliseconds, user and system. Unlike a rate it
 * hardly changes with what else the machine has to do.
 */
export function processorMs(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + readTicks(pid), 0) * TICK_MS;
}

/** A process and its living children. */
export function withChildren(pid: number): number[] {
  const children = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && fieldsOf(entry)[1] === String(pid));
  return [pid, ...children.map(Number)];
}

/** utime, stime, cutime and cstime. */
const readTicks = (pid: number) =>
  fieldsOf(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks), 0);

/** The fields after the program's name, from the state on; none where the process has ended. */
function fieldsOf(pid: number | string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}
