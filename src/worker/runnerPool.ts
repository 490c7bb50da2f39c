import type { Log } from '../platform/log.ts';
import { endEscapees } from '../runner/escapees.ts';
import {
  type Exit,
  type FromRunner,
  type HoldRequest,
  type KillReason,
  monotonicMs,
  type OutputPart,
  RUN_TOKEN,
  type StartRequest,
  silentExit,
} from '../runner/protocol.ts';
import type { JobCgroups } from './jobCgroups.ts';
import { endOrphan, identify, type ProcessIdentity } from './orphan.ts';
import { type RunnerProcess, startRunner } from './runnerProcess.ts';

/** The runner processes: which of them a command goes to, and what becomes of its run when one dies. */
export interface RunnerPool {
  /**
   * Resolves with how the command ended; never rejects. It waits for `startAtMs` by the monotonic clock, while as many run as
   * there are slots, and while no runner is ready, until START_FAILURES_MAX runners in a row have died. Beyond WAITING_MAX its
   * exit says that it is taken back.
   */
  execute(
    request: Omit<StartRequest, 'type'> & { startAtMs?: number },
    onStarted: (pid: number) => void,
    onOutput?: (part: OutputPart) => void,
  ): Promise<Exit>;
  /** Resolves when every runner has loaded, or has died of trying. */
  ready(): Promise<void>;
  /** Whether there is a runner to start a command. */
  isReady(): boolean;
  /** Takes a command back that still waits: its exit says so. Without effect once a runner has it. */
  withdraw(runId: number): void;
  /** Ends a command's process group: TERM, after the grace KILL. Without effect on a run that has finished. */
  kill(runId: number, reason: KillReason, graceMs: number): void;
  /** The leases of all runs hold until then, by the monotonic clock: the runners end their commands if nobody says more. */
  hold(untilMs: number, graceMs: number): void;
  /** Ends the commands that still run, then the runners. Resolves when they have gone; nothing can be started after. */
  close(graceMs?: number): Promise<void>;
}

interface Run {
  request: Omit<StartRequest, 'type'>;
  /** Null while it waits for one. */
  runner: Runner | null;
  process: ProcessIdentity | null;
  startedAtMs: number;
  onStarted: (pid: number) => void;
  onOutput: ((part: OutputPart) => void) | undefined;
  finish: (exit: Exit) => void;
}

interface Runner {
  name: string;
  process: RunnerProcess;
  running: number;
  isReady: boolean;
  hasLoaded: Promise<void>;
}

const WAITING_MAX = 1000;
/** Pauses before a dead runner is replaced: 0.1, 0.2, 0.4 … 10 s; back to the first when a run has finished. */
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 10_000;
const START_FAILURES_MAX = 5;
const CLOSE_GRACE_MS = 1000;

export interface CommandSettings {
  umask?: number;
  /** Commands at a time. */
  slots?: number;
  /** Null: runs have none of their own. */
  cgroups?: JobCgroups | null;
}

export function createRunnerPool(
  size: number,
  log: Log,
  { umask = 0o027, slots = Number.POSITIVE_INFINITY, cgroups = null }: CommandSettings = {},
): RunnerPool {
  const runs = new Map<number, Run>();
  const runners = new Set<Runner>();
  let held: HoldRequest | null = null;
  let count = 0;
  let deaths = 0;
  let isClosing = false;

  const addRunner = () => {
    const { promise: hasLoaded, resolve: loaded } = Promise.withResolvers<void>();
    const onMessage = (message: FromRunner) => {
      if (message.type !== 'ready') return hear(message);
      runner.isReady = true;
      if (held) runner.process.send(held);
      loaded();
      startWaiting();
    };
    const onExit = (reason: string) => {
      loaded();
      void lose(runner, reason);
    };
    const name = String(++count);
    const child = startRunner(log, { umask, cgroups: cgroups?.directory ?? '', name }, { onMessage, onExit });
    const runner: Runner = { name, process: child, running: 0, isReady: false, hasLoaded };
    runners.add(runner);
  };

  /** In the order in which they came. */
  const queue = new Set<Run>();

  const enqueueAt = (atMs: number, run: Run) => {
    const leftMs = Math.ceil(atMs - monotonicMs());
    if (leftMs > 0) {
      setTimeout(enqueueAt, leftMs, atMs, run);
      return;
    }
    // It may have been ended meanwhile.
    if (runs.get(run.request.runId) !== run) return;
    queue.add(run);
    startWaiting();
  };

  const startWaiting = () => {
    if (isClosing) return;
    for (const run of queue) {
      const runner = runs.size - queue.size < slots ? leastBusy(runners) : undefined;
      if (!runner) return;
      queue.delete(run);
      run.runner = runner;
      runner.running += 1;
      runner.process.send({ type: 'start', ...run.request });
    }
  };

  const hear = (message: Exclude<FromRunner, { type: 'ready' }>) => {
    const run = runs.get(message.runId);
    if (!run) return;
    if (message.type === 'finished') {
      deaths = 0;
      return settle(run, message.exit);
    }
    if (message.type === 'output') return run.onOutput?.(message);
    run.process = identify(message.pid);
    run.startedAtMs = message.startedAtMs;
    run.onStarted(message.pid);
  };

  const settle = (run: Run, exit: Exit) => {
    runs.delete(run.request.runId);
    queue.delete(run);
    if (run.runner) run.runner.running -= 1;
    run.finish(exit);
    startWaiting();
  };

  /** The commands of a dead runner are nobody's: they are ended, and their runs have failed. */
  const lose = async (runner: Runner, reason: string) => {
    runners.delete(runner);
    const lost = [...runs.values()].filter((run) => run.runner === runner);
    for (const { process } of lost) if (process) endOrphan(process);
    if (!isClosing) replace({ runner: runner.process.pid, reason });
    // What has left its group, and a command that the runner had no time to tell of.
    await cgroups?.end(runner.name).catch((err: unknown) => log.error({ err }, 'A cgroup cannot be killed'));
    await Promise.all(lost.map(({ request }) => endMarked(request)));
    for (const run of lost)
      settle(run, unfinished(run, `The runner process of this command ${reason}; the command was ended.`));
  };

  const replace = (why: { runner?: number | undefined; err?: unknown; reason: string }) => {
    const { reason } = why;
    const pauseMs = Math.min(RESTART_MS_MIN * 2 ** deaths, RESTART_MS_MAX);
    deaths += 1;
    log.error({ ...why, pauseMs }, 'A runner died: starting another');
    setTimeout(() => {
      if (isClosing) return;
      try {
        addRunner();
      } catch (error) {
        // Its directory cannot be made, because the disk is full, say. The commands of other runners go on.
        replace({ err: error, reason: 'could not be started' });
      }
    }, pauseMs);
    if (deaths < START_FAILURES_MAX || leastBusy(runners)) return;
    for (const run of queue) settle(run, unfinished(run, `No runner could be started: the last one ${reason}.`));
  };

  for (let index = 0; index < size; index++) addRunner();

  return {
    execute({ startAtMs = 0, ...request }, onStarted, onOutput) {
      const { promise, resolve: finish } = Promise.withResolvers<Exit>();
      const run: Run = {
        request,
        runner: null,
        process: null,
        startedAtMs: monotonicMs(),
        onStarted,
        onOutput,
        finish,
      };
      if (isClosing || queue.size >= WAITING_MAX) {
        finish(isClosing ? unfinished(run, 'The worker is stopping.') : withdrawn(run));
        return promise;
      }
      runs.set(request.runId, run);
      enqueueAt(startAtMs, run);
      return promise;
    },
    async ready() {
      await Promise.all([...runners].map((runner) => runner.hasLoaded));
    },
    isReady: () => leastBusy(runners) !== undefined,
    kill(runId, reason, graceMs) {
      const run = runs.get(runId);
      if (run?.runner) run.runner.process.send({ type: 'kill', runId, reason, graceMs });
      else if (run) settle(run, { ...unfinished(run, 'Ended before it was started.'), killReason: reason });
    },
    withdraw(runId) {
      const run = runs.get(runId);
      if (run && !run.runner) settle(run, withdrawn(run));
    },
    hold(untilMs, graceMs) {
      held = { type: 'hold', untilMs, graceMs };
      for (const { process, isReady } of runners) if (isReady) process.send(held);
    },
    async close(graceMs = CLOSE_GRACE_MS) {
      isClosing = true;
      for (const run of runs.values()) if (!run.runner) settle(run, unfinished(run, 'The worker is stopping.'));
      await Promise.all([...runners].map(({ process }) => process.close(graceMs)));
      cgroups?.close();
    },
  };
}

/** Never as the command's user: that would hold for everything that this process does meanwhile. */
async function endMarked({ env }: Pick<StartRequest, 'env'>): Promise<void> {
  const token = env[RUN_TOKEN];
  if (token) await endEscapees({ token });
}

function leastBusy(runners: Set<Runner>): Runner | undefined {
  let best: Runner | undefined;
  for (const runner of runners) if (runner.isReady && runner.running < (best?.running ?? Infinity)) best = runner;
  return best;
}

/** Its command was killed, or was never there: 137 stands for both. */
function unfinished({ startedAtMs }: Run, errorMessage: string): Exit {
  return silentExit({ exitCode: 137, errorMessage, startedAtMs, endedAtMs: monotonicMs() });
}

const withdrawn = (run: Run): Exit => ({ ...unfinished(run, 'Not started.'), isWithdrawn: true });
