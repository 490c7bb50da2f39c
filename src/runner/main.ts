import { rmSync } from 'node:fs';
import { execute } from './execute.ts';
import { closeInheritedFiles } from './inheritedFiles.ts';
import { createLiveOutputs } from './liveOutput.ts';
import { createPipes } from './pipes.ts';
import {
  type Exit,
  type FromRunner,
  type HoldRequest,
  type KillReason,
  monotonicMs,
  type StartRequest,
  silentExit,
  type ToRunner,
} from './protocol.ts';
import { createRunCgroups } from './runCgroups.ts';

/**
 * A runner: the small process that starts commands. It holds no settings, no connections and no secrets, and imports
 * nothing but Node's own modules, because the cost of a fork follows the memory of the process that forks.
 * It is a program of its own, started by the coordinator with an IPC channel and a private directory, so it ends itself.
 */
const GRACE_WITHOUT_COORDINATOR_MS = 1000;
/** Beyond the grace: until nothing is waited for any more. */
const LAST_RESORT_MS = 5000;

closeInheritedFiles();
const [, , umask = '', cgroupDirectory = '', name = '', directory = ''] = process.argv;
// For the commands: Node's spawn sets none. What the runner makes itself has its mode set.
process.umask(umask);
const pipes = createPipes(directory);
const cgroups = createRunCgroups(cgroupDirectory, name);
const runs = new Map<number, { kill(reason: KillReason, graceMs: number): void; told: Promise<void> }>();
let lastTurn = Promise.resolve();

/** Resolves when the message has left, or when there is nobody to hear it. */
const send = (message: FromRunner): Promise<void> =>
  new Promise((resolve) => {
    if (!process.connected || !process.send) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });

const live = createLiveOutputs(send);

/** One at a time: an exit may be 16 MiB of text and more, and the heap is small. */
const inTurn = (work: () => Promise<void>): Promise<void> => {
  lastTurn = lastTurn.then(work);
  return lastTurn;
};

/** Until the first contact a start's own limit says it. */
let heldUntilMs = Number.POSITIVE_INFINITY;
let holdTimer: NodeJS.Timeout | undefined;

function hold({ untilMs, graceMs }: HoldRequest): void {
  heldUntilMs = untilMs;
  clearTimeout(holdTimer);
  holdTimer = setTimeout(
    () => {
      for (const { kill } of runs.values()) kill('lease_lost', graceMs);
    },
    Math.max(0, untilMs - monotonicMs()),
  );
}

function start(request: StartRequest): void {
  const { runId } = request;
  const nowMs = monotonicMs();
  if (nowMs > Math.min(request.startBeforeMs ?? Number.POSITIVE_INFINITY, heldUntilMs)) {
    void send({ type: 'finished', runId, exit: notStarted(nowMs) });
    return;
  }
  const { kill, finished } = execute(request, {
    directory,
    pipes,
    cgroups,
    live,
    onStarted: (pid, startedAtMs) => void send({ type: 'started', runId, pid, startedAtMs }),
  });
  const told = finished.then(async (readExit) => {
    await inTurn(() => send({ type: 'finished', runId, exit: readExit() }));
    runs.delete(runId);
  });
  runs.set(runId, { kill, told });
}

function notStarted(atMs: number): Exit {
  const errorMessage = 'Not started: its lease had run out before.';
  return silentExit({ exitCode: 137, killReason: 'lease_lost', errorMessage, startedAtMs: atMs, endedAtMs: atMs });
}

/** Nothing that this process started may outlive it. */
async function endEverything(reason: KillReason, graceMs: number, exitCode: number): Promise<void> {
  cgroups.goHome();
  setTimeout(() => process.exit(exitCode), graceMs + LAST_RESORT_MS);
  for (const { kill } of runs.values()) kill(reason, graceMs);
  await Promise.all([...runs.values()].map(({ told }) => told));
  rmSync(directory, { recursive: true, force: true });
  cgroups.close();
  process.exit(exitCode);
}

process.on('message', (message: ToRunner) => {
  switch (message.type) {
    case 'start':
      return start(message);
    case 'kill':
      return runs.get(message.runId)?.kill(message.reason, message.graceMs);
    case 'hold':
      return hold(message);
    case 'shutdown':
      return void endEverything('drained', message.graceMs, 0);
  }
});
// The coordinator is gone: its leases will go to another worker.
process.once('disconnect', () => void endEverything('lease_lost', GRACE_WITHOUT_COORDINATOR_MS, 0));
process.on('uncaughtException', (error) => {
  console.error(error);
  void endEverything('drained', GRACE_WITHOUT_COORDINATOR_MS, 1);
});
// Ctrl-C and a stopping init system signal the whole group or tree: when a command ends is the coordinator's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

/** The first start of a process loads code and makes pipes, 100 ms and more: no job's run is to wait for that. */
const warmUp: StartRequest = {
  type: 'start',
  runId: 0,
  command: ':',
  env: {},
  cwd: directory,
  outputBytesMax: 1024,
};
void execute(warmUp, { directory, pipes, onStarted: () => {} }).finished.then(() => send({ type: 'ready' }));
