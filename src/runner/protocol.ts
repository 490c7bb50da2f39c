/** What the coordinator and its runner processes say to each other, over Node's IPC channel. */

export type KillReason = 'canceled' | 'drained' | 'lease_lost' | 'timed_out';

export interface StartRequest {
  type: 'start';
  runId: number;
  command: string;
  /** The command's whole environment. */
  env: Record<string, string>;
  cwd: string;
  /** Most bytes of each stream that are kept: half as its head, half as its tail. */
  outputBytesMax: number;
}

export interface KillRequest {
  type: 'kill';
  runId: number;
  reason: KillReason;
  /** From TERM to KILL. */
  graceMs: number;
}

export type ToRunner = StartRequest | KillRequest;

/** How a command ended. A command that could not be started has an exit too. */
export interface Exit {
  /** 128 + n for a death by signal n, 127 for a missing interpreter or directory, 126 for one that may not be used. */
  exitCode: number;
  /** '' when there is nothing to say. */
  errorMessage: string;
  killReason: KillReason | null;
  /** Monotonic clock of the machine, milliseconds: start of the process and end of its output. */
  startedAtMs: number;
  endedAtMs: number;
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  stderrBytes: number;
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
}

export type FromRunner =
  | { type: 'ready' }
  | { type: 'started'; runId: number; pid: number; startedAtMs: number }
  | { type: 'finished'; runId: number; exit: Exit };
