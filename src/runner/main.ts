import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Execution, execute } from './execute.ts';
import { createPipes } from './pipes.ts';
import type { FromRunner, StartRequest, ToRunner } from './protocol.ts';

/**
 * A runner: the small process that starts commands. It holds no settings, no connections and no secrets, and imports
 * nothing but execa and Node's own modules, because the cost of a fork follows the memory of the process that forks.
 * It is a program of its own, started by the coordinator with an IPC channel, so it ends itself.
 */
const GRACE_WITHOUT_COORDINATOR_MS = 1000;
/** Beyond the grace: until nothing is waited for any more. */
const LAST_RESORT_MS = 5000;

const directory = mkdtempSync(join(tmpdir(), 'bjr-runner-'));
const pipes = createPipes(directory);
const executions = new Map<number, Execution>();

/** Resolves when the message has left, or when there is nobody to hear it. */
const send = (message: FromRunner): Promise<void> =>
  new Promise((resolve) => {
    if (!process.connected || !process.send) return resolve();
    process.send(message, undefined, undefined, () => resolve());
  });

function start(request: StartRequest): void {
  const { runId } = request;
  const execution = execute(request, {
    directory,
    pipes,
    onStarted: (pid, startedAtMs) => void send({ type: 'started', runId, pid, startedAtMs }),
  });
  executions.set(runId, execution);
  void execution.finished.then(async (exit) => {
    await send({ type: 'finished', runId, exit });
    executions.delete(runId);
  });
}

/** The coordinator is gone, or this process is broken: nothing that it started may outlive it. */
async function endEverything(exitCode: number): Promise<void> {
  setTimeout(() => process.exit(exitCode), GRACE_WITHOUT_COORDINATOR_MS + LAST_RESORT_MS);
  for (const { kill } of executions.values()) kill('lease_lost', GRACE_WITHOUT_COORDINATOR_MS);
  await Promise.all([...executions.values()].map(({ finished }) => finished));
  rmSync(directory, { recursive: true, force: true });
  process.exit(exitCode);
}

process.on('message', (message: ToRunner) => {
  if (message.type === 'start') start(message);
  else executions.get(message.runId)?.kill(message.reason, message.graceMs);
});
process.once('disconnect', () => void endEverything(0));
process.on('uncaughtException', (error) => {
  console.error(error);
  void endEverything(1);
});
// Ctrl-C and a stopping init system signal the whole group or tree: when a command ends is the coordinator's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

/** The first start of a process loads code and makes pipes, 100 ms and more: no job's run is to wait for that. */
const warmUp: StartRequest = { type: 'start', runId: 0, command: ':', env: {}, cwd: directory, outputBytesMax: 1024 };
void execute(warmUp, { directory, pipes, onStarted: () => {} }).finished.then(() => send({ type: 'ready' }));
