import { parentPort } from 'node:worker_threads';
import { compareSync, hashSync } from 'bcryptjs';

/** bcrypt takes some 60 ms of computing: here it delays no request. */
export type PasswordTask = { id: number; password: string } & (
  | { kind: 'hash'; cost: number }
  | { kind: 'compare'; digest: string }
);

export interface PasswordAnswer {
  id: number;
  result: string | boolean;
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
