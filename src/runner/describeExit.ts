import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { constants as os } from 'node:os';
import type { Exit, KillReason } from './protocol.ts';

type Description = Pick<Exit, 'exitCode' | 'errorMessage'>;

const WHY_KILLED: Record<KillReason, string> = {
  canceled: 'Canceled.',
  drained: 'The worker stopped before the command had finished.',
  lease_lost: 'The worker lost its lease on the job.',
  timed_out: 'The time limit was exceeded.',
};

/** How a command that ran has ended. */
export function describeEnd(
  code: number | null,
  signal: NodeJS.Signals | null,
  killReason: KillReason | null,
): Description {
  const why = killReason ? WHY_KILLED[killReason] : '';
  if (!signal) return { exitCode: code ?? 1, errorMessage: why };
  const errorMessage = `${why} Terminated by ${signal}.`.trimStart();
  return { exitCode: 128 + os.signals[signal], errorMessage };
}

/** Thrown where it is known before the start that a command cannot be started. */
export class NotStarted extends Error {
  readonly exitCode: number;
  constructor({ exitCode, errorMessage }: Description, cause: unknown) {
    super(errorMessage, { cause });
    this.exitCode = exitCode;
  }
}

export interface StartFailure {
  /** The system's name for the error, such as ENOENT. */
  code: string;
  interpreter: string;
  cwd: string;
}

/** Why a command could not be started: the directory and the interpreter fail with the same codes. */
export function describeStartFailure({ code, interpreter, cwd }: StartFailure): Description {
  const directory = whyNotEntered(cwd);
  if (directory) return describeDirectory(cwd, directory);
  if (code === 'ENOENT') {
    const detail = existsSync(interpreter)
      ? 'the file is there, but not what it needs itself'
      : 'there is no such file';
    return { ...NOT_FOUND, errorMessage: `Interpreter '${interpreter}' not found: ${detail}.` };
  }
  if (code === 'EACCES') return { ...NOT_USABLE, errorMessage: whyNotExecuted(interpreter) };
  return { ...NOT_USABLE, errorMessage: `The command could not be started: ${code}.` };
}

const NOT_FOUND = { exitCode: 127 };
const NOT_USABLE = { exitCode: 126 };

function whyNotEntered(cwd: string): string | null {
  try {
    if (!statSync(cwd).isDirectory()) return 'ENOTDIR';
    accessSync(cwd, constants.X_OK);
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

function whyNotExecuted(interpreter: string): string {
  try {
    accessSync(interpreter, constants.X_OK);
    if (statSync(interpreter).isDirectory())
      return `Interpreter '${interpreter}' is not executable: it is a directory.`;
    return `Interpreter '${interpreter}' or the temporary directory is closed to the command's user, or mounted noexec.`;
  } catch {
    return `Interpreter '${interpreter}' is not executable: permission denied.`;
  }
}

const REASONS: Record<string, string> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'it is not a directory',
  EACCES: 'permission denied',
};

/** By the system's name for the reason. */
export function describeDirectory(cwd: string, code: string): Description {
  return { ...NOT_USABLE, errorMessage: `Cannot enter the job directory '${cwd}': ${REASONS[code] ?? code}.` };
}

/** The system's name for an error, or its words. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
