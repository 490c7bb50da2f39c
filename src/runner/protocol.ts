/** What the coordinator and its runner processes say to each other, over Node's IPC channel. */

export type KillReason = 'canceled' | 'drained' | 'lease_lost' | 'timed_out';

/** The OS user that a command runs as, without supplementary groups. */
export interface Owner {
  uid: number;
  gid: number;
}

/** 0: none. */
export interface Limits {
  nice: number;
  /** Address space of each process. */
  memoryBytesMax: number;
  /** Of the command's OS user, all runs together. */
  processesMax: number;
  fileBytesMax: number;
}

/** A variable of the command's environment that tells the run's processes from others: random, of this run only. */
export const RUN_TOKEN = 'BJR_RUN_TOKEN';

export interface StartRequest {
  type: 'start';
  runId: number;
  /** By the machine's monotonic clock, milliseconds: later than this the lease may have gone, and it is not started. */
  startBeforeMs?: number;
  command: string;
  /** The command's whole environment. */
  env: Record<string, string>;
  cwd: string;
  /** Most bytes of each stream that are kept: half as its head, half as its tail. */
  outputBytesMax: number;
  /** The run's time limit, at most 2^31 − 1 ms (Node's longest timer), and the time from TERM to KILL at its end. */
  timeLimit?: { timeoutMs: number; graceMs: number };
  /** Not given: the runner's own user. Only a runner that is root can start commands as another one. */
  owner?: Owner;
  limits?: Limits;
}

export interface KillRequest {
  type: 'kill';
  runId: number;
  reason: KillReason;
  /** From TERM to KILL. A later request may only shorten it; the first reason stays. */
  graceMs: number;
}

/**
 * The coordinator has been in contact: until this instant of the monotonic clock no lease of its runs can be taken over.
 * Where no later one comes the runner ends its commands then, whatever the coordinator does: it may be frozen.
 */
export interface HoldRequest {
  type: 'hold';
  untilMs: number;
  /** From TERM to KILL. */
  graceMs: number;
}

/** Ends everything that the runner still runs, then the runner itself. */
export interface ShutdownRequest {
  type: 'shutdown';
  graceMs: number;
}

export type ToRunner = StartRequest | KillRequest | HoldRequest | ShutdownRequest;

/** How a command ended. A command that could not be started has an exit too. */
export interface Exit {
  /** 128 + n for a death by signal n, 127 for a missing interpreter, 126 for one, or for a directory, that cannot be used. */
  exitCode: number;
  /** '' when there is nothing to say. */
  errorMessage: string;
  killReason: KillReason | null;
  /** It was taken back before it was started. */
  isWithdrawn?: boolean;
  /** Monotonic clock of the machine, milliseconds: start and end of the command's own process. */
  startedAtMs: number;
  endedAtMs: number;
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

export type OutputStream = 'stdout' | 'stderr';

/** Something a command has printed: the bytes from `start` to `end` of the stream. What is between two parts nobody is told. */
export interface OutputPart {
  stream: OutputStream;
  text: string;
  start: number;
  end: number;
}

export type FromRunner =
  | { type: 'ready' }
  | { type: 'started'; runId: number; pid: number; startedAtMs: number }
  | ({ type: 'output'; runId: number } & OutputPart)
  | { type: 'finished'; runId: number; exit: Exit };

/** The exit of a run that has no output: its command did not start, or its runner died. */
export function silentExit(
  exit: Pick<Exit, 'exitCode' | 'errorMessage' | 'startedAtMs' | 'endedAtMs'> & Partial<Exit>,
): Exit {
  return {
    killReason: null,
    stdout: '',
    stderr: '',
    stdoutBytes: 0,
    stderrBytes: 0,
    stdoutTruncated: false,
    stderrTruncated: false,
    ...exit,
  };
}

/** The machine's monotonic clock: coordinator and runners read the same one. */
export const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
