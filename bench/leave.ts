import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

/*
 * Nothing is left behind, however a measurement ends: no server, no program, no folder. The servers are in sessions of their own
 * (src/embedded/serverProcess.ts), so a Ctrl-C does not reach them.
 */

const children = new Set<ChildProcess>();
const stops = new Set<() => Promise<void>>();
const STOP_MS = 10_000;
/** A Ctrl-C comes twice: from the terminal, and from npm, which passes it on. */
const SAME_MS = 500;
let leftAtMs: number | null = null;

/** All temporary files from now on, the servers' too, are in a folder that goes with this process. */
export function keepNothing(): void {
  const folder = mkdtempSync(join(tmpdir(), 'bjr-bench-'));
  process.env['TMPDIR'] = folder;
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    // Those that were not stopped in order, or are only starting.
    for (const file of globSync(join(folder, 'bjr-test-*/*/*.pid'))) kill(Number(readFileSync(file, 'utf8')));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  process.on('SIGINT', (signal) => void leave(signal));
  process.on('SIGTERM', (signal) => void leave(signal));
}

async function leave(signal: NodeJS.Signals): Promise<void> {
  const code = 128 + constants.signals[signal];
  const nowMs = performance.now();
  if (leftAtMs !== null) {
    if (nowMs - leftAtMs > SAME_MS) process.exit(code);
    return;
  }
  leftAtMs = nowMs;
  console.error(`${signal}: stopping what was started … (once more to kill it)`);
  // Whatever waits for a program or a server fails now.
  process.on('uncaughtException', () => {});
  process.on('unhandledRejection', () => {});
  await Promise.allSettled([...stops].map((stop) => stop()));
  process.exit(code);
}

/** Does the work, and `stop` after it, or at a signal in its midst, or where it fails. After a signal it does not return. */
export async function whileStoppable<T>(stop: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let stopping: Promise<void> | null = null;
  const stopOnce = () => (stopping ??= stop());
  stops.add(stopOnce);
  try {
    return await work();
  } finally {
    await stopOnce();
    stops.delete(stopOnce);
    if (leftAtMs !== null) await new Promise(() => {});
  }
}

/** A process that must not outlive this one. */
export function adopt<Child extends ChildProcess>(child: Child): Child {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(late);
}

export async function stopChildren(): Promise<void> {
  await Promise.all([...children].map(stopChild));
}

function kill(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
