import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A program: runs the commands of its arguments by a runner, to be killed by a test. */
export const COORDINATOR = fileURLToPath(new URL('../fixtures/coordinator.ts', import.meta.url));

/** The pids of its commands, once so many have started. */
export async function readPids({ stdout }: ChildProcess, count: number): Promise<number[]> {
  const pids: number[] = [];
  if (!stdout) throw new Error('It has no output');
  for await (const line of createInterface({ input: stdout })) {
    pids.push((JSON.parse(line) as { pid: number }).pid);
    if (pids.length === count) break;
  }
  return pids;
}
