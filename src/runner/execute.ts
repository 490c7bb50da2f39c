import { constants } from 'node:os';
import { execa } from 'execa';
import { type BoundedOutput, createBoundedOutput } from './boundedOutput.ts';
import type { OpenPipe } from './pipes.ts';
import { awaitGroupEnd, endGroup } from './processGroup.ts';
import type { Exit, KillReason, StartRequest } from './protocol.ts';
import { explainStartFailure, prepareProgram } from './script.ts';

/**
 * How long processes that a finished command left in its group, or a pipe that they hold open, may delay the run's end.
 * Then the group is ended and the reading stops: a run leaves nothing of its group behind and nothing holds it for ever.
 */
const LEFTOVER_MS = 2000;

export interface Execution {
  /** Ends the whole process group. The first reason stays. */
  kill(reason: KillReason, graceMs: number): void;
  /** Never rejects: a command that fails, or cannot be started, is an outcome. */
  finished: Promise<Exit>;
}

export interface ExecutionOptions {
  directory: string;
  openPipe: OpenPipe;
  onStarted(pid: number, startedAtMs: number): void;
}

export function execute(request: StartRequest, options: ExecutionOptions): Execution {
  const kill = { reason: null as KillReason | null, graceMs: 0, pid: 0 };
  return {
    kill(reason, graceMs) {
      if (kill.reason) return;
      Object.assign(kill, { reason, graceMs });
      if (kill.pid) void endGroup(kill.pid, graceMs);
    },
    finished: run(request, options, kill).catch((error: unknown) => failed(error)),
  };
}

type Kill = { reason: KillReason | null; graceMs: number; pid: number };

async function run(request: StartRequest, options: ExecutionOptions, kill: Kill): Promise<Exit> {
  const program = prepareProgram(request.command, options.directory);
  const streams = [capture(options, request), capture(options, request)] as const;
  const startedAtMs = monotonicMs();
  const subprocess = execa(program.file, program.args, {
    cwd: request.cwd,
    env: request.env,
    extendEnv: false,
    stdin: 'ignore',
    stdout: descriptor(streams[0].pipe.writeFd),
    stderr: descriptor(streams[1].pipe.writeFd),
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
  });
  for (const { pipe } of streams) pipe.handOver();
  const { pid } = subprocess;
  if (pid !== undefined) {
    kill.pid = pid;
    options.onStarted(pid, startedAtMs);
    if (kill.reason) void endGroup(pid, kill.graceMs);
  }
  const result = await subprocess;
  if (pid !== undefined) await clearGroup(pid, kill);
  const [stdout, stderr] = await Promise.all(streams.map((stream) => stream.end()));
  program.remove();
  return {
    ...describe(result, request, kill.reason),
    killReason: kill.reason,
    startedAtMs,
    endedAtMs: monotonicMs(),
    stdout: stdout?.text ?? '',
    stderr: stderr?.text ?? '',
    stdoutBytes: stdout?.bytes ?? 0,
    stderrBytes: stderr?.bytes ?? 0,
    stdoutTruncated: stdout?.isTruncated ?? false,
    stderrTruncated: stderr?.isTruncated ?? false,
  };
}

/** execa takes every file descriptor; its types name only those up to 9. */
const descriptor = (fd: number) => fd as 9;

/** After the command itself has ended: what it left in its group gets a moment, then is ended. */
async function clearGroup(pid: number, kill: Kill): Promise<void> {
  if (await awaitGroupEnd(pid, kill.reason ? kill.graceMs : LEFTOVER_MS)) return;
  await endGroup(pid, kill.reason ? 0 : LEFTOVER_MS);
}

function capture({ openPipe }: ExecutionOptions, { outputBytesMax }: StartRequest) {
  const output: BoundedOutput = createBoundedOutput(outputBytesMax);
  const pipe = openPipe((chunk) => output.write(chunk));
  const drained = new Promise<boolean>((resolve) => {
    pipe.reader.once('end', () => resolve(true));
    pipe.reader.once('error', () => resolve(false));
  });
  return {
    pipe,
    async end() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(false), LEFTOVER_MS);
      });
      const isDrained = await Promise.race([drained, late]);
      clearTimeout(timer);
      pipe.close(isDrained);
      return output.read();
    },
  };
}

type Ended = { exitCode?: number | undefined; signal?: NodeJS.Signals | undefined; code?: string | undefined };

function describe(
  { exitCode, signal, code }: Ended,
  { command, cwd }: StartRequest,
  killReason: KillReason | null,
): Pick<Exit, 'exitCode' | 'errorMessage'> {
  if (signal) return { exitCode: 128 + constants.signals[signal], errorMessage: endedBy(signal, killReason) };
  if (exitCode !== undefined) {
    return { exitCode, errorMessage: killReason ? WHY_KILLED[killReason] : '' };
  }
  return explainStartFailure({ code: code ?? 'unknown', command, cwd });
}

const WHY_KILLED: Record<KillReason, string> = {
  canceled: 'Canceled.',
  drained: 'The worker stopped before the command had finished.',
  lease_lost: 'The worker lost its lease on the job.',
  timed_out: 'The time limit was exceeded.',
};

function endedBy(signal: NodeJS.Signals, killReason: KillReason | null): string {
  const death = `The command was ended by ${signal}.`;
  return killReason ? `${WHY_KILLED[killReason]} ${death}` : death;
}

function failed(error: unknown): Exit {
  const now = monotonicMs();
  const reason = error instanceof Error ? error.message : String(error);
  return {
    exitCode: 126,
    errorMessage: `The command could not be started: ${reason}`,
    killReason: null,
    startedAtMs: now,
    endedAtMs: now,
    stdout: '',
    stderr: '',
    stdoutBytes: 0,
    stderrBytes: 0,
    stdoutTruncated: false,
    stderrTruncated: false,
  };
}

/** The machine's monotonic clock: the coordinator reads the same one. */
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
