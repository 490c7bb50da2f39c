import type { Readable } from 'node:stream';
import { type BoundedOutput, createBoundedOutput } from './boundedOutput.ts';
import type { Pipes } from './pipes.ts';
import type { StartRequest } from './protocol.ts';

/** One output stream of a command on its way into a bounded text. */
export interface Capture {
  /** What the command is given: a file descriptor, or Node's own kind of pipe where there are no named ones. */
  stdio: number | 'pipe';
  /** After the start, even one that failed: the command has its end. `stream` is Node's pipe, where that was used. */
  begin(stream: Readable | null): void;
  /** What it has written so far. */
  output: BoundedOutput;
  /** After the command's end: what it wrote, to be read when it is wanted as text. */
  end(): Promise<BoundedOutput>;
}

/**
 * A daemon that left the group (setsid) may hold the command's output open for as long as it lives. What the command
 * itself wrote is in the pipe by now and read within milliseconds, so nothing is waited for beyond this.
 */
const OUTPUT_DRAIN_MS = 2000;

export function createCapture(pipes: Pipes, { outputBytesMax, owner }: StartRequest): Capture {
  const output = createBoundedOutput(outputBytesMax);
  const pipe = pipes.open(output.write, owner);
  if (!pipe) return captureStream(output);
  return {
    stdio: pipe.writeFd,
    output,
    begin: pipe.handOver,
    async end() {
      await settled(pipe.ended);
      pipe.close();
      return output;
    },
  };
}

function captureStream(output: BoundedOutput): Capture {
  let source: Readable | null = null;
  let ended = Promise.resolve();
  return {
    stdio: 'pipe',
    output,
    begin(stream) {
      source = stream?.on('data', output.write) ?? null;
      ended = new Promise((resolve) => (source ? source.once('close', resolve) : resolve()));
    },
    async end() {
      await settled(ended);
      source?.destroy();
      return output;
    },
  };
}

function settled(ended: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, OUTPUT_DRAIN_MS);
    void ended.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
