import type { Log } from '../platform/log.ts';
import { type Exit, type FromRunner, type KillReason, type StartRequest, silentExit } from '../runner/protocol.ts';
import { endOrphan, identify, type ProcessIdentity } from './orphan.ts';
import { type RunnerProcess, startRunner } from './runnerProcess.ts';

/** The runner processes: which of them a command goes to, and what becomes of its run when one dies. */
export interface RunnerPool {
  /** Resolves with how the command ended; never rejects. */
  execute(request: Omit<StartRequest, 'type'>, onStarted: (pid: number) => void): Promise<Exit>;
  /** Resolves when every runner has loaded. */
  ready(): Promise<void>;
  kill(runId: number, reason: KillReason, graceMs: number): void;
  close(): Promise<void>;
}

interface Pending {
  runner: Runner;
  process: ProcessIdentity | null;
  startedAtMs: number;
  onStarted: (pid: number) => void;
  finish: (exit: Exit) => void;
}

interface Runner {
  process: RunnerProcess;
  running: number;
  ready: Promise<void>;
}

/** A runner that dies at once is not started again faster than this. */
const RESTART_MS = 500;

export function createRunnerPool(size: number, log: Log): RunnerPool {
  const pending = new Map<number, Pending>();
  const runners: Runner[] = [];
  let isClosing = false;

  const addRunner = () => {
    const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
    const onMessage = (message: FromRunner) => (message.type === 'ready' ? becomeReady() : hear(message));
    const onExit = (reason: string) => {
      becomeReady();
      lose(runner, reason);
    };
    const runner: Runner = { running: 0, ready, process: startRunner(log, { onMessage, onExit }) };
    runners.push(runner);
  };

  const hear = (message: Exclude<FromRunner, { type: 'ready' }>) => {
    const run = pending.get(message.runId);
    if (!run) return;
    if (message.type === 'finished') return settle(message.runId, run, message.exit);
    run.process = identify(message.pid);
    run.startedAtMs = message.startedAtMs;
    run.onStarted(message.pid);
  };

  const settle = (runId: number, run: Pending, exit: Exit) => {
    pending.delete(runId);
    run.runner.running -= 1;
    run.finish(exit);
  };

  /** The commands of a dead runner are nobody's: they are ended, and their runs have failed. */
  const lose = (runner: Runner, reason: string) => {
    runners.splice(runners.indexOf(runner), 1);
    for (const [runId, run] of pending) {
      if (run.runner !== runner) continue;
      if (run.process) endOrphan(run.process);
      settle(runId, run, exitOfLostRunner(run.startedAtMs, reason));
    }
    if (isClosing) return;
    log.error({ runner: runner.process.pid, reason }, 'A runner died: starting another');
    setTimeout(() => isClosing || addRunner(), RESTART_MS);
  };

  for (let index = 0; index < size; index++) addRunner();

  return {
    execute(request, onStarted) {
      return new Promise((finish) => {
        const runner = leastBusy(runners);
        if (!runner) return finish(exitOfLostRunner(monotonicMs(), 'could not be started'));
        runner.running += 1;
        pending.set(request.runId, { runner, process: null, startedAtMs: monotonicMs(), onStarted, finish });
        runner.process.send({ type: 'start', ...request });
      });
    },
    async ready() {
      await Promise.all(runners.map((runner) => runner.ready));
    },
    kill(runId, reason, graceMs) {
      pending.get(runId)?.runner.process.send({ type: 'kill', runId, reason, graceMs });
    },
    async close() {
      isClosing = true;
      await Promise.all([...runners].map(({ process }) => process.close()));
    },
  };
}

function leastBusy(runners: Runner[]): Runner | undefined {
  return runners.reduce<Runner | undefined>(
    (best, next) => (best && best.running <= next.running ? best : next),
    undefined,
  );
}

const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;

function exitOfLostRunner(startedAtMs: number, reason: string): Exit {
  return silentExit({
    exitCode: 137,
    errorMessage: `The runner process of this command ${reason}; the command was ended.`,
    startedAtMs,
    endedAtMs: monotonicMs(),
  });
}
