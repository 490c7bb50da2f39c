import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

/**
 * Real pipes for a command's output. What Node calls a pipe is a socket, and a socket cannot be opened by name: in a job
 * `echo oops > /dev/stderr` or `tee /dev/stdout` would fail with ENXIO. Named pipes in the runner's private directory do
 * what pipe(2) would; one is used again once its last writer is gone.
 */
export interface Pipe {
  /** The writing end, for the command; closed here by `handOver` once the command has it. */
  writeFd: number;
  /** The reading end, outside the thread pool. */
  reader: Socket;
  handOver(): void;
  /** Gives the pipe back; `isDrained` says that its reader saw the end, so that no writer is left. */
  close(isDrained: boolean): void;
}

export type OpenPipe = (onData: (chunk: Uint8Array) => void) => Pipe;

const BATCH = 32;
/** What Linux's pipes hold. */
const CHUNK_BYTES = 65_536;

export function createPipes(directory: string): { open: OpenPipe } {
  const free: string[] = [];
  let made = 0;
  // One buffer for all reads: a chunk is dealt with before the next read. Gigabytes of output leave no garbage behind.
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);

  const make = () => {
    const names = Array.from({ length: BATCH }, (_, index) => join(directory, `pipe-${made + index}`));
    made += BATCH;
    execFileSync('mkfifo', ['-m', '600', ...names]);
    free.push(...names);
  };

  return {
    open(onData) {
      if (free.length === 0) make();
      const name = free.pop() ?? '';
      const readFd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
      const writeFd = openSync(name, constants.O_WRONLY);
      const callback = (length: number) => {
        onData(buffer.subarray(0, length));
        return true;
      };
      const reader = new Socket({ fd: readFd, readable: true, writable: false, onread: { buffer, callback } });
      reader.resume();
      return {
        writeFd,
        reader,
        handOver: () => closeSync(writeFd),
        close(isDrained) {
          reader.destroy();
          if (isDrained) free.push(name);
          else rmSync(name, { force: true });
        },
      };
    },
  };
}
