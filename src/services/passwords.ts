import { Worker } from 'node:worker_threads';
import { AppError } from '../domain/errors.ts';
import { nullCharacter, type Problem, problemIf } from '../domain/problem.ts';
import type { PasswordAnswer, PasswordTask } from './passwordThread.ts';

const COST = 10;
/** bcrypt reads 72 bytes and no more. */
const PASSWORD_BYTES = { min: 8, max: 72 };
/** Six seconds of work: whoever comes later is asked to try again. */
const QUEUE_MAX = 100;
const RETRY_SECONDS = 5;
/** Of random bytes that nobody kept, at COST: an unknown user costs the same work as a wrong password. */
const NOBODYS_DIGEST = '$2b$10$UWAQX1sjKuoHaNLR7n6fmuSqasMpOYjwopMG1nj9A7CNlN6D3SWuW';

/** @throws {AppError} too_many_attempts, where too much is waiting */
export async function hashPassword(password: string): Promise<string> {
  return String(await compute({ kind: 'hash', password, cost: COST }));
}

/** False also without a digest, after the same work. @throws {AppError} too_many_attempts, where too much is waiting */
export async function verifyPassword(password: string, digest: string | undefined): Promise<boolean> {
  const isMatch = await compute({ kind: 'compare', password, digest: digest ?? NOBODYS_DIGEST });
  // bcrypt would ignore what is beyond.
  const isReadable = Buffer.byteLength(password) <= PASSWORD_BYTES.max;
  return isMatch === true && isReadable && digest !== undefined;
}

/** What is wrong with a new password; [] when nothing is. */
export function passwordProblems(password: string, confirmation: string): Problem[] {
  const bytes = Buffer.byteLength(password);
  const { min, max } = PASSWORD_BYTES;
  return [
    ...problemIf(bytes === 0, 'blank', 'password'),
    ...problemIf(bytes > 0 && bytes < min, 'too_few_bytes', 'password', { limit: min }),
    ...problemIf(bytes > max, 'too_many_bytes', 'password', { limit: max }),
    ...nullCharacter('password', password),
    ...problemIf(password !== confirmation, 'confirmation', 'password_confirmation'),
  ];
}

interface Waiting {
  resolve(result: string | boolean): void;
  reject(error: Error): void;
}

/** Each kind of task without its id. */
type NewTask = PasswordTask extends infer Task ? (Task extends unknown ? Omit<Task, 'id'> : never) : never;

let thread: Worker | undefined;
let lastId = 0;
const waiting = new Map<number, Waiting>();

function compute(task: NewTask): Promise<string | boolean> {
  if (waiting.size >= QUEUE_MAX) {
    return Promise.reject(new AppError({ code: 'too_many_attempts', seconds: RETRY_SECONDS }));
  }
  const worker = startThread();
  const id = ++lastId;
  // The process lives while somebody waits, and no longer.
  worker.ref();
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ ...task, id });
  });
}

/** One thread, started with the first task; one that dies is replaced by the next. */
function startThread(): Worker {
  if (thread) return thread;
  const started = new Worker(new URL('./passwordThread.ts', import.meta.url));
  started.on('message', ({ id, result }: PasswordAnswer) => {
    waiting.get(id)?.resolve(result);
    waiting.delete(id);
    if (waiting.size === 0) started.unref();
  });
  started.on('error', (error: Error) => {
    thread = undefined;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  });
  thread = started;
  return started;
}
