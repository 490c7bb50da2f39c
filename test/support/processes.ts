import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const { NODE_COMPILE_CACHE } = process.env;
const COMPILE_CACHE = NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {};

/** A command of the program as a real process, with its log read line by line. */
export interface Process {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The log so far, parsed. */
  readonly log: Record<string, unknown>[];
  /** Standard error and what of the output is not JSON. */
  readonly text: string[];
  /** Resolves with the first line for which the test holds, past or to come; rejects when the process ends without. */
  line(test: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  event(type: string): Promise<Record<string, unknown>>;
  /** Sends a signal and waits for the end. Returns the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

export function startProcess(command: string, env: Record<string, string>, args: string[] = []): Process {
  return startNode([MAIN, command, ...args], { ...COMPILE_CACHE, ...env });
}

/** The same with arguments of Node's and another main file. */
export function startNode(args: string[], env: Record<string, string>): Process {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const log: Record<string, unknown>[] = [];
  const text: string[] = [];
  let waiting: (() => void)[] = [];
  const wakeAll = () => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) keep(line);
      wakeAll();
    });
  }
  const keep = (line: string) => {
    const entry = parseEntry(line);
    if (entry) log.push(entry);
    else text.push(line);
  };
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => {
      resolve(signal ?? code);
      wakeAll();
    });
  });
  let isOver = false;
  void ended.then(() => {
    isOver = true;
    wakeAll();
  });
  const line: Process['line'] = async (test) => {
    for (let from = 0; ; ) {
      const found = log.slice(from).find(test);
      if (found) return found;
      from = log.length;
      if (isOver)
        throw new Error(
          `${args.join(' ')} ended before it said that:\n${[...text, ...log.map((l) => JSON.stringify(l))].join('\n')}`,
        );
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  return {
    child,
    pid: child.pid ?? 0,
    log,
    text,
    line,
    event: (type) => line((entry) => entry['event'] === type),
    async end(signal) {
      child.kill(signal);
      return ended;
    },
    ended,
  };
}

/** What a failed start prints begins like JSON and is none. */
function parseEntry(line: string): Record<string, unknown> | undefined {
  try {
    return line.startsWith('{') ? JSON.parse(line) : undefined;
  } catch {
    return undefined;
  }
}

/** Polls what nothing announces (another process's end, a row of the database). */
export async function until(test: () => boolean | Promise<boolean>, what: string, timeoutMs = 45_000): Promise<void> {
  const startedAt = Date.now();
  while (!(await test())) {
    if (Date.now() - startedAt > timeoutMs) throw new Error(`Waited ${timeoutMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A zombie that its parent has not collected yet runs no more. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
}

export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}
