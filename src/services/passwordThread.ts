import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { compareSync, hashSync } from 'bcryptjs';

/** bcrypt takes some 60 ms of computing: here it delays no request, and a flood of sign-ins leaves the cores to the others. */
export type PasswordTask = { id: number; password: string } & (
  | { kind: 'hash'; cost: number }
  | { kind: 'compare'; digest: string }
);

export interface PasswordAnswer {
  id: number;
  result: string | boolean;
}

if (process.platform === 'linux') lowerPriority();

/**
 * On Linux a thread has a priority of its own; elsewhere this would be the whole process's. Lower than what it was started with:
 * only root may go the other way, and the process may be nice already.
 */
function lowerPriority(): void {
  try {
    setPriority(0, Math.min(getPriority(0) + 10, 19));
  } catch {
    // A sandbox may forbid that call (systemd's SystemCallFilter, seccomp). Passwords are worth more than priorities.
  }
}

parentPort?.on('message', (task: PasswordTask) => {
  const { id, password } = task;
  const result = task.kind === 'hash' ? hashSync(password, task.cost) : matches(password, task.digest);
  parentPort?.postMessage({ id, result } satisfies PasswordAnswer);
});

/** A digest that is none matches nothing. */
function matches(password: string, digest: string): boolean {
  try {
    return compareSync(password, digest);
  } catch {
    return false;
  }
}
