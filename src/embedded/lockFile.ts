import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface LockHolder {
  pid: number;
  /** What the holder says of itself, for the message to whoever finds the lock taken. */
  note: string;
}

export type LockFile = { isHeld: true; release(): void } | { isHeld: false; holder: LockHolder };

/**
 * Takes a lock that a file stands for. The lock of a process that has died counts as free. The file comes into being
 * whole (by a link), so that nobody reads half of it.
 */
export function takeLock(path: string, note = ''): LockFile {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, note }));
  try {
    for (let tries = 0; ; tries++) {
      if (link(draft, path)) return { isHeld: true, release: () => rmSync(path, { force: true }) };
      const holder = readHolder(path);
      if (holder && isAlive(holder.pid)) return { isHeld: false, holder };
      if (tries === 3) throw new Error(`The lock ${path} cannot be taken; remove the file if nothing uses it`);
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): LockHolder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockHolder;
  } catch {
    return null;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
