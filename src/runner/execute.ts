import { execa } from 'execa';
import type { BoundedOutput } from './boundedOutput.ts';
import { type Capture, createCapture } from './capture.ts';
import { codeOf, describeEnd, describeStartFailure } from './describeExit.ts';
import type { Pipes } from './pipes.ts';
import { createProcessGroup } from './processGroup.ts';
import { type Exit, type KillReason, monotonicMs, type StartRequest, silentExit } from './protocol.ts';
import { type Program, prepareProgram } from './script.ts';

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
  onStarted(pid: number, startedAtMs: number): void;
}

/** Starts a command, before it returns. */
export function execute(request: StartRequest, options: ExecutionOptions): Execution {
  const askedAtMs = monotonicMs();
  try {
    const started = start(request, options);
    const { pid } = started.subprocess;
    if (pid === undefined) return { kill: () => {}, finished: explain(request, started) };
    options.onStarted(pid, started.startedAtMs);
    return follow(pid, request, started);
  } catch (error) {
    return { kill: () => {}, finished: Promise.resolve(() => failed(error, askedAtMs)) };
  }
}

interface Started {
  subprocess: ReturnType<typeof spawn>;
  program: Program;
  captures: Capture[];
  startedAtMs: number;
}

function start({ command, env, cwd, outputBytesMax }: StartRequest, { directory, pipes }: ExecutionOptions): Started {
  const program = prepareProgram(command, env, directory);
  const captures: Capture[] = [];
  try {
    captures.push(createCapture(pipes, outputBytesMax));
    captures.push(createCapture(pipes, outputBytesMax));
    const startedAtMs = monotonicMs();
    const subprocess = spawn(program, { env, cwd, outputs: captures.map(({ stdio }) => stdio) });
    captures[0]?.begin(subprocess.stdout);
    captures[1]?.begin(subprocess.stderr);
    return { subprocess, program, captures, startedAtMs };
  } catch (error) {
    for (const capture of captures) {
      capture.begin(null);
      void capture.end();
    }
    program.remove();
    throw error;
  }
}

/**
 * `detached`: a session and process group of its own. execa's `killDescendants` would signal that same group, but without
 * knowing when the number has gone out of use. Its timeouts, buffers and clean-up at exit are ours to do here.
 */
function spawn(program: Program, options: { env: Record<string, string>; cwd: string; outputs: (number | 'pipe')[] }) {
  const { env, cwd, outputs } = options;
  return execa(program.file, program.args, {
    cwd,
    env,
    extendEnv: false,
    stdin: 'ignore',
    stdout: target(outputs[0]),
    stderr: target(outputs[1]),
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
  });
}

/** execa takes every file descriptor; its types name only those up to 9. */
const target = (output: number | 'pipe' | undefined) => (output ?? 'pipe') as 'pipe' | 9;

function follow(pid: number, { timeLimit }: StartRequest, started: Started): Execution {
  const group = createProcessGroup(pid);
  let killReason: KillReason | null = null;
  let hasEnded = false;
  const kill = (reason: KillReason, graceMs: number) => {
    if (!hasEnded) killReason ??= reason;
    group.end(graceMs);
  };
  const timer = timeLimit && setTimeout(kill, timeLimit.timeoutMs, 'timed_out', timeLimit.graceMs);
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  started.subprocess.nodeChildProcess.once('exit', (code, signal) => {
    hasEnded = true;
    clearTimeout(timer);
    const description = describeEnd(code, signal, killReason);
    resolve({ ...description, killReason, endedAtMs: monotonicMs(), groupGone: group.clear() });
  });
  const finished = finish(ended, started).catch((error: unknown) => () => failed(error, started.startedAtMs));
  return { kill, finished };
}

type End = ReturnType<typeof describeEnd> & Pick<Exit, 'killReason' | 'endedAtMs'> & { groupGone: Promise<void> };

async function finish(ended: Promise<End>, { captures, program, startedAtMs }: Started): Promise<ReadExit> {
  const { groupGone, ...end } = await ended;
  await groupGone;
  const [stdout, stderr] = await Promise.all(captures.map((capture) => capture.end()));
  program.remove();
  return () => {
    try {
      return { ...silentExit({ ...end, startedAtMs }), ...readOutput(stdout, stderr) };
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
  { subprocess, program, captures, startedAtMs }: Started,
): Promise<ReadExit> {
  const { code } = await subprocess;
  await Promise.all(captures.map((capture) => capture.end()));
  program.remove();
  const why = describeStartFailure({ code: code ?? 'unknown', interpreter: program.interpreter, cwd });
  const endedAtMs = monotonicMs();
  return () => silentExit({ ...why, startedAtMs, endedAtMs });
}

function failed(error: unknown, startedAtMs: number): Exit {
  const errorMessage = `The command could not be run: ${codeOf(error)}.`;
  return silentExit({ exitCode: 126, errorMessage, startedAtMs, endedAtMs: monotonicMs() });
}
