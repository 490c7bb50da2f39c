import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Log } from '../platform/log.ts';
import type { FromRunner, ToRunner } from '../runner/protocol.ts';

/** A runner as the coordinator sees it. */
export interface RunnerProcess {
  readonly pid: number | undefined;
  send(message: ToRunner): void;
  /** Closes the channel: the runner ends what it still runs, then itself. Resolves when it has gone. */
  close(): Promise<void>;
}

export interface RunnerListeners {
  onMessage(message: FromRunner): void;
  /** Called once, whether it was told to or died. */
  onExit(reason: string): void;
}

const ENTRY = fileURLToPath(new URL('../runner/main.ts', import.meta.url));

/**
 * A fork's cost follows the memory of the process that forks: a small young generation keeps the runner's heap at a few
 * megabytes, and the optimising compilers are left out of a process that mostly waits.
 */
const LEAN = ['--max-semi-space-size=1', '--max-old-space-size=256', '--disable-warning=ExperimentalWarning'];

/** Starts a runner: an empty environment, no open files but standard ones, and the channel. */
export function startRunner(log: Log, listeners: RunnerListeners): RunnerProcess {
  const child = fork(ENTRY, [], { env: {}, execArgv: LEAN, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  child.stderr
    ?.setEncoding('utf8')
    .on('data', (text: string) => log.error({ runner: child.pid, text }, 'A runner says'));
  child.on('message', (message: FromRunner) => listeners.onMessage(message));
  const gone = exitOf(child);
  void gone.then(listeners.onExit);
  return {
    pid: child.pid,
    // A message to a runner that is gone: its exit tells what became of the run.
    send: (message) => void (child.connected && child.send(message, () => {})),
    async close() {
      if (child.connected) child.disconnect();
      await gone;
    },
  };
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with code ${code}`));
    child.once('error', (error) => resolve(`failed: ${error.message}`));
  });
}
