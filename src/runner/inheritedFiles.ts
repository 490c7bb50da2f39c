import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** O_CLOEXEC, as fdinfo shows it (proc_pid_fdinfo(5)). */
const CLOSED_ON_EXEC = 0o2000000;

/**
 * Closes the files that this process has from its parent, so that no command gets them. Node itself does so only up to the
 * first gap above 15 (libuv's uv_disable_stdio_inheritance); what it opens for itself has the flag. Where there is no
 * /proc nothing is known and nothing is done.
 */
export function closeInheritedFiles(): void {
  for (const fd of openFiles()) if (fd > 2 && isInherited(fd)) closeSync(fd);
}

function openFiles(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number);
  } catch {
    return [];
  }
}

function isInherited(fd: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) === 0;
  } catch {
    // The folder's own, closed since.
    return false;
  }
}
