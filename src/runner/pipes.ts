import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { codeOf } from './describeExit.ts';
import { ensurePrivate } from './privateDirectory.ts';
import type { Owner } from './protocol.ts';

/**
 * Real pipes for a command's output. What Node calls a pipe is a socket, and a socket cannot be opened by name: in a job
 * `echo oops > /dev/stderr` or `tee /dev/stdout` would fail with ENXIO. Named pipes in the runner's private directory do
 * what pipe(2) would. One is used again once nothing has it open: to make and remove two for each run costs 250 µs of it,
 * to ask whether one is free 20.
 */
export interface Pipe {
  /** The writing end, for the command; closed here by `handOver` once the command has it. */
  writeFd: number;
  handOver(): void;
  /** Resolves when no writer is left. */
  ended: Promise<void>;
  /** Stops reading and gives the pipe back. */
  close(): void;
}

export interface Pipes {
  /** Null where named pipes cannot be had. `onData` must copy: the next read uses the same memory. */
  open(onData: (chunk: Uint8Array) => void, owner?: Owner): Pipe | null;
}

const BATCH = 32;

export function createPipes(directory: string): Pipes {
  const free: string[] = [];
  const buffer = Buffer.allocUnsafeSlow(65_536);
  let made = 0;
  let isAvailable = true;

  const make = () => {
    const names = Array.from({ length: BATCH }, (_, index) => join(directory, `pipe-${made + index}`));
    try {
      ensurePrivate(directory);
      execFileSync('mkfifo', ['-m', '600', ...names], { stdio: 'pipe' });
    } catch (error) {
      isAvailable = false;
      console.error('No named pipes: in commands, /dev/stdout and /dev/stderr cannot be opened.', error);
      return;
    }
    made += BATCH;
    free.push(...names);
  };

  const takeUnused = (owner: Owner | undefined): string | undefined => {
    if (free.length === 0 && isAvailable) make();
    const name = free.pop();
    if (name === undefined || (handTo(name, owner) && isUnused(name))) return name;
    discard(name);
    return takeUnused(owner);
  };

  return {
    open(onData, owner) {
      const name = takeUnused(owner);
      if (name === undefined) return null;
      const { readFd, writeFd } = openBothEnds(name);
      const onread = {
        buffer,
        callback: (length: number) => {
          onData(buffer.subarray(0, length));
          return true;
        },
      };
      const reader = new Socket({ fd: readFd, readable: true, writable: false, onread });
      let isDrained = false;
      const ended = new Promise<void>((resolve) => {
        reader.once('end', () => {
          isDrained = true;
          resolve();
        });
        reader.once('error', () => resolve());
      });
      return {
        writeFd,
        handOver: () => closeSync(writeFd),
        ended,
        close() {
          reader.destroy();
          if (isDrained) free.push(name);
          else discard(name);
        },
      };
    },
  };
}

/**
 * Before anybody is looked for who still has it open: from here on the user of an earlier run cannot open it any more.
 * Without a user of its own the runner's directory is closed to others, and what a command starts by sudo may open it.
 */
function handTo(name: string, owner: Owner | undefined): boolean {
  try {
    if (owner) chownSync(name, owner.uid, owner.gid);
    // In this order: its earlier user could open it again with chmod until it has gone.
    chmodSync(name, owner ? 0o600 : 0o666);
    return true;
  } catch {
    return false;
  }
}

function discard(name: string): void {
  try {
    unlinkSync(name);
  } catch {
    // It has gone already, with its directory.
  }
}

/** Reading first: to open the writing end of a pipe that has no reader would wait for one. */
function openBothEnds(name: string): { readFd: number; writeFd: number } {
  const readFd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { readFd, writeFd: openSync(name, constants.O_WRONLY) };
  } catch (error) {
    closeSync(readFd);
    throw error;
  }
}

/**
 * A pipe whose end was seen has no writer, but a process may have opened /dev/stdout for reading and would take what the
 * next run writes. Opening to write without waiting fails with ENXIO if and only if nobody reads.
 */
function isUnused(name: string): boolean {
  try {
    closeSync(openSync(name, constants.O_WRONLY | constants.O_NONBLOCK));
    return false;
  } catch (error) {
    return codeOf(error) === 'ENXIO' && !hasWriter(name);
  }
}

/** One that opened it by name after that end would write into the next run's output. Reading says: an end, or EAGAIN. */
function hasWriter(name: string): boolean {
  const fd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readSync(fd, Buffer.alloc(1)) > 0;
  } catch {
    return true;
  } finally {
    closeSync(fd);
  }
}
