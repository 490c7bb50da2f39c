import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import type { BoundedOutput } from './boundedOutput.ts';
import { type Capture, createCapture } from './capture.ts';
import { codeOf, describeEnd, describeStartFailure, NotStarted } from './describeExit.ts';
import { endEscapees } from './escapees.ts';
import { inJobDirectory } from './jobDirectory.ts';
import { describeLimitFailure, hasLimits, type Invocation, withLimits } from './limits.ts';
import type { LiveOutputs } from './liveOutput.ts';
import type { Pipes } from './pipes.ts';
import { createProcessGroup } from './processGroup.ts';
import { type Exit, type KillReason, monotonicMs, RUN_TOKEN, type StartRequest, silentExit } from './protocol.ts';
import type { RunCgroup, RunCgroups } from './runCgroups.ts';
import { findBash, type Program, prepareProgram } from './script.ts';

export interface Execution {
  /** Ends the whole process group; after the command's own end, what it left behind. The first reason stays. */
  kill(reason: KillReason, graceMs: number): void;
  /** Never rejects: a command that fails, or cannot be started, is an outcome. */
  finished: Promise<ReadExit>;
}

/**
 * Makes the output's text. To be called when the text can leave at once: until then it is kept outside the heap, which
 * would not hold the texts of many runs that finish together.
 */
export type ReadExit = () => Exit;

export interface ExecutionOptions {
  /** Private to the runner. */
  directory: string;
  pipes: Pipes;
  cgroups?: RunCgroups;
  onStarted(pid: number, startedAtMs: number): void;
  /** For commands whose output may be followed. */
  live?: LiveOutputs;
}

/** Starts a command, before it returns. */
export function execute(request: StartRequest, options: ExecutionOptions): Execution {
  const askedAtMs = monotonicMs();
  try {
    const started = start(request, options);
    const { pid } = started.subprocess;
    if (pid === undefined) return { kill: () => {}, finished: explain(request, started) };
    options.onStarted(pid, started.startedAtMs);
    const [stdout, stderr] = started.captures.map(({ output }) => output);
    options.live?.begin(request.runId, { ...(stdout && { stdout }), ...(stderr && { stderr }) });
    const execution = follow(pid, request, started);
    void execution.finished.then(() => options.live?.end(request.runId));
    return execution;
  } catch (error) {
    return { kill: () => {}, finished: Promise.resolve(() => failed(error, askedAtMs)) };
  }
}

interface Started {
  subprocess: ChildProcess;
  program: Program;
  captures: Capture[];
  cgroup: RunCgroup | null;
  startedAtMs: number;
}

function start(request: StartRequest, { directory, pipes, cgroups }: ExecutionOptions): Started {
  const { env, owner, limits } = request;
  const program = prepareProgram(request, directory);
  const captures: Capture[] = [];
  const cgroup = cgroups?.open() ?? null;
  try {
    captures.push(createCapture(pipes, request));
    captures.push(createCapture(pipes, request));
    // With limits it is bash that would find it missing, and say so in words of its own.
    if (hasLimits(limits)) requireInterpreter(program.interpreter, request.cwd);
    const invocation = withLimits({ ...program, env }, limits, findBash(env));
    const outputs = captures.map(({ stdio }) => stdio);
    const startedAtMs = monotonicMs();
    const { interpreter } = program;
    const subprocess = inJobDirectory(request.cwd, owner, (cwd) =>
      launch(invocation, { cwd, request, interpreter, outputs }),
    );
    captures[0]?.begin(subprocess.stdout);
    captures[1]?.begin(subprocess.stderr);
    return { subprocess, program, captures, cgroup, startedAtMs };
  } catch (error) {
    for (const capture of captures) {
      capture.begin(null);
      void capture.end();
    }
    program.remove();
    cgroup?.remove();
    throw error;
  }
}

function requireInterpreter(interpreter: string, cwd: string): void {
  try {
    accessSync(interpreter, constants.X_OK);
  } catch (error) {
    throw new NotStarted(describeStartFailure({ code: codeOf(error), interpreter, cwd }), error);
  }
}

interface LaunchOptions {
  cwd: string;
  request: StartRequest;
  interpreter: string;
  outputs: (number | 'pipe')[];
}

/**
 * `detached`: a session and process group of its own. Node's own spawn and not execa: what execa adds (timeouts, buffers,
 * clean-up at exit, an error to throw) is ours to do here and switched off, and a start cost 2.3 ms of processor time more.
 * @throws {NotStarted} for some of the system's refusals; the others come as an event (`explain`)
 */
function launch({ file, args, env }: Invocation, { cwd, request, interpreter, outputs }: LaunchOptions): ChildProcess {
  try {
    return spawn(file, args, { ...request.owner, cwd, env, stdio: ['ignore', ...outputs], detached: true });
  } catch (error) {
    throw new NotStarted(describeStartFailure({ code: codeOf(error), interpreter, cwd: request.cwd }), error);
  }
}

function follow(pid: number, request: StartRequest, started: Started): Execution {
  const { timeLimit } = request;
  let killReason: KillReason | null = null;
  const group = createProcessGroup(pid, () => {
    if (killReason) started.cgroup?.kill();
  });
  let hasEnded = false;
  const kill = (reason: KillReason, graceMs: number) => {
    if (!hasEnded) killReason ??= reason;
    group.end(graceMs);
  };
  const timer = timeLimit && setTimeout(kill, timeLimit.timeoutMs, 'timed_out', timeLimit.graceMs);
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  started.subprocess.once('exit', (code, signal) => {
    hasEnded = true;
    clearTimeout(timer);
    const description = describeEnd(code, signal, killReason);
    const isGone = group.clear().then(() => (killReason ? endEscaped(request, started) : undefined));
    resolve({ ...description, killReason, endedAtMs: monotonicMs(), isGone });
  });
  const finished = finish(ended, request, started).catch((error: unknown) => () => failed(error, started.startedAtMs));
  return { kill, finished };
}

type End = ReturnType<typeof describeEnd> & Pick<Exit, 'killReason' | 'endedAtMs'> & { isGone: Promise<void> };

/** Only where the end was forced: a command that ends by itself may leave a daemon. */
async function endEscaped({ env, owner }: StartRequest, { cgroup }: Started): Promise<void> {
  await cgroup?.empty();
  const token = env[RUN_TOKEN];
  if (token) await endEscapees({ token, owner });
}

async function finish(ended: Promise<End>, { limits }: StartRequest, started: Started): Promise<ReadExit> {
  const { captures, program, cgroup, startedAtMs } = started;
  const { isGone, ...end } = await ended;
  await isGone;
  cgroup?.remove();
  const [stdout, stderr] = await Promise.all(captures.map((capture) => capture.end()));
  program.remove();
  return () => {
    try {
      const exit = { ...silentExit({ ...end, startedAtMs }), ...readOutput(stdout, stderr) };
      const notLimited = limits && describeLimitFailure(exit.exitCode, exit.stderr);
      return notLimited ? { ...exit, errorMessage: notLimited } : exit;
    } catch (error) {
      return failed(error, startedAtMs);
    }
  };
}

function readOutput(stdout: BoundedOutput | undefined, stderr: BoundedOutput | undefined): Partial<Exit> {
  const [out, err] = [stdout?.read(), stderr?.read()];
  return {
    ...(out && { stdout: out.text, stdoutBytes: out.bytes, stdoutTruncated: out.isTruncated }),
    ...(err && { stderr: err.text, stderrBytes: err.bytes, stderrTruncated: err.isTruncated }),
  };
}

async function explain(
  { cwd }: StartRequest,
  { subprocess, program, captures, cgroup, startedAtMs }: Started,
): Promise<ReadExit> {
  const [error] = await once(subprocess, 'error');
  await Promise.all(captures.map((capture) => capture.end()));
  program.remove();
  cgroup?.remove();
  const why = describeStartFailure({ code: codeOf(error), interpreter: program.interpreter, cwd });
  const endedAtMs = monotonicMs();
  return () => silentExit({ ...why, startedAtMs, endedAtMs });
}

function failed(error: unknown, startedAtMs: number): Exit {
  const { exitCode, message } =
    error instanceof NotStarted ? error : { exitCode: 126, message: `The command could not be run: ${codeOf(error)}.` };
  return silentExit({ exitCode, errorMessage: message, startedAtMs, endedAtMs: monotonicMs() });
}
