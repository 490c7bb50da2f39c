import { execa } from 'execa';
import { type Capture, createCapture } from './capture.ts';
import { codeOf, describeEnd, describeStartFailure } from './describeExit.ts';
import type { Pipes } from './pipes.ts';
import { createProcessGroup } from './processGroup.ts';
import { type Exit, type KillReason, type StartRequest, silentExit } from './protocol.ts';
import { prepareProgram } from './script.ts';

export interface Execution {
  /** Ends the whole process group; after the command's own end, what it left behind. The first reason stays. */
  kill(reason: KillReason, graceMs: number): void;
  /** Never rejects: a command that fails, or cannot be started, is an outcome. */
  finished: Promise<Exit>;
}

export interface ExecutionOptions {
  /** Private to the runner. */
  directory: string;
  pipes: Pipes;
  onStarted(pid: number, startedAtMs: number): void;
}

/** Starts a command at once. */
export function execute(request: StartRequest, options: ExecutionOptions): Execution {
  const startedAtMs = monotonicMs();
  try {
    const started = start(request, options);
    const { pid } = started.subprocess;
    if (pid === undefined) return { kill: () => {}, finished: explainFailure(started, request) };
    options.onStarted(pid, started.atMs);
    return follow(pid, started, request);
  } catch (error) {
    const errorMessage = `The command could not be started: ${codeOf(error)}.`;
    const exit = silentExit({ exitCode: 126, errorMessage, startedAtMs, endedAtMs: startedAtMs });
    return { kill: () => {}, finished: Promise.resolve(exit) };
  }
}

type Started = ReturnType<typeof start>;

function start({ command, env, cwd, outputBytesMax }: StartRequest, { directory, pipes }: ExecutionOptions) {
  const program = prepareProgram(command, env, directory);
  const captures: Capture[] = [];
  try {
    const stdout = createCapture(pipes, outputBytesMax);
    captures.push(stdout);
    const stderr = createCapture(pipes, outputBytesMax);
    captures.push(stderr);
    const atMs = monotonicMs();
    const subprocess = execa(program.file, program.args, {
      cwd,
      env,
      extendEnv: false,
      stdin: 'ignore',
      stdout: destination(stdout.stdio),
      stderr: destination(stderr.stdio),
      buffer: false,
      detached: true,
      cleanup: false,
      reject: false,
    });
    stdout.begin(subprocess.stdout);
    stderr.begin(subprocess.stderr);
    return { subprocess, program, stdout, stderr, atMs };
  } catch (error) {
    for (const capture of captures) capture.abandon();
    program.remove();
    throw error;
  }
}

/** execa takes every file descriptor; its types name only those up to 9. */
const destination = (stdio: number | 'pipe') => stdio as 9 | 'pipe';

async function explainFailure(
  { subprocess, program, stdout, stderr, atMs }: Started,
  { cwd }: StartRequest,
): Promise<Exit> {
  const { code = 'unknown' } = await subprocess;
  stdout.abandon();
  stderr.abandon();
  program.remove();
  const description = describeStartFailure({ code, interpreter: program.interpreter, cwd });
  return silentExit({ ...description, startedAtMs: atMs, endedAtMs: monotonicMs() });
}

function follow(pid: number, started: Started, { timeLimit }: StartRequest): Execution {
  const group = createProcessGroup(pid);
  let killReason: KillReason | null = null;
  const kill = (reason: KillReason, graceMs: number) => {
    killReason ??= reason;
    group.end(graceMs);
  };
  const timer = timeLimit && setTimeout(() => kill('timed_out', timeLimit.graceMs), timeLimit.timeoutMs);
  const finish = async (): Promise<Exit> => {
    const { exitCode = null, signal = null } = await started.subprocess;
    const endedAtMs = monotonicMs();
    clearTimeout(timer);
    await group.clear();
    const [stdout, stderr] = await Promise.all([started.stdout.end(), started.stderr.end()]);
    started.program.remove();
    return {
      ...describeEnd(exitCode, signal, killReason),
      killReason,
      startedAtMs: started.atMs,
      endedAtMs,
      stdout: stdout.text,
      stderr: stderr.text,
      stdoutBytes: stdout.bytes,
      stderrBytes: stderr.bytes,
      stdoutTruncated: stdout.isTruncated,
      stderrTruncated: stderr.isTruncated,
    };
  };
  return { kill, finished: finish() };
}

/** The machine's monotonic clock: the coordinator reads the same one. */
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
