import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Log } from '../platform/log.ts';
import type { FromRunner, ToRunner } from '../runner/protocol.ts';
import { writeRunnerCode } from './runnerCode.ts';

/** A runner as the coordinator sees it. */
export interface RunnerProcess {
  readonly pid: number | undefined;
  send(message: ToRunner): void;
  /** The runner ends what it still runs, KILL after the grace, then itself. Resolves when it has gone; never rejects. */
  close(graceMs: number): Promise<void>;
}

export interface RunnerSettings {
  /** Of the commands. */
  umask: number;
  /** The directory of the cgroups of runs; '' for none. */
  cgroups: string;
  /** For the names of its cgroups. */
  name: string;
}

export interface RunnerListeners {
  onMessage(message: FromRunner): void;
  /** Called once, whether it was told to or died, and after its last message. */
  onExit(reason: string): void;
}

/**
 * A fork's cost follows the memory of the process that forks. After 1500 starts a runner had 43 MB of its own with these
 * and made 294 starts/s, without them 102 MB and 251/s (two cores, `echo hi`; without maglev alone: 47 MB, 287/s).
 */
const LEAN = ['--max-semi-space-size=1', '--no-maglev', '--max-old-space-size=256'];

/** Beyond the grace: a runner that has not ended by then (it is stopped, or broken) is killed. */
const LAST_RESORT_MS = 8000;

/**
 * Starts a runner: an empty environment, no open files but the standard ones and the channel, a session of its own. A
 * Ctrl-C, or a KILL to the coordinator's whole group, does not reach it, so it is there to end its commands.
 */
export function startRunner(
  log: Log,
  { umask, cgroups, name }: RunnerSettings,
  listeners: RunnerListeners,
): RunnerProcess {
  const directory = mkdtempSync(join(tmpdir(), 'bjr-runner-'));
  const child = fork(writeRunnerCode(directory), [umask.toString(8), cgroups, name, directory], {
    env: {},
    execArgv: LEAN,
    detached: true,
    // JSON would take six bytes for each control character, on the runner's small heap.
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  if (child.stderr) {
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => log.error({ runner: child.pid, line }, 'A runner says'));
  }
  child.on('message', (message: FromRunner) => listeners.onMessage(message));
  const gone = whenGone(child).then((reason) => {
    rmSync(directory, { recursive: true, force: true });
    listeners.onExit(reason);
  });
  // A message to a runner that is gone: its exit tells what became of the run.
  const send = (message: ToRunner) => void (child.connected && child.send(message, () => {}));
  return {
    pid: child.pid,
    send,
    async close(graceMs) {
      send({ type: 'shutdown', graceMs });
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs + LAST_RESORT_MS);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** 'close', not 'exit': by then the channel and the log have been read to their ends. */
function whenGone(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with code ${code}`));
    child.once('error', (error) => {
      if (child.pid === undefined) resolve(`could not be started: ${error.message}`);
    });
  });
}
