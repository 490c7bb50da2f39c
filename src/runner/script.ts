import { accessSync, constants, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What to execute for a command: bash, or the command's own interpreter where it begins with `#!`. */
export interface Program {
  file: string;
  args: string[];
  /** Removes what was written for it. */
  remove(): void;
}

export function prepareProgram(command: string, directory: string): Program {
  if (!command.startsWith('#!')) return { file: '/bin/bash', args: ['-c', command], remove: () => {} };
  const folder = mkdtempSync(join(directory, 'script-'));
  const file = join(folder, 'command');
  // Written synchronously: a fork while the file is open for writing would make its execution fail (ETXTBSY).
  writeFileSync(file, command, { mode: 0o700 });
  return { file, args: [], remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Why a command could not be started, for the run's record. */
export function explainStartFailure({ code, command, cwd }: { code: string; command: string; cwd: string }): {
  exitCode: number;
  errorMessage: string;
} {
  const directory = whyNotEntered(cwd);
  if (directory) return { exitCode: 127, errorMessage: `Cannot enter the job directory '${cwd}': ${directory}.` };
  const interpreter = interpreterOf(command);
  if (code === 'ENOENT')
    return { exitCode: 127, errorMessage: `Interpreter '${interpreter}' not found${hint(interpreter)}.` };
  if (code === 'EACCES') return { exitCode: 126, errorMessage: `Interpreter '${interpreter}' is not executable.` };
  return { exitCode: 126, errorMessage: `The command could not be started: ${code}.` };
}

function interpreterOf(command: string): string {
  if (!command.startsWith('#!')) return '/bin/bash';
  const [line = ''] = command.slice(2).split('\n');
  return line.trimStart().split(/[ \t]/)[0] ?? '';
}

const hint = (interpreter: string) =>
  interpreter.endsWith('\r') ? ' (its line ends in a carriage return: save the command with Unix line ends)' : '';

function whyNotEntered(cwd: string): string | null {
  try {
    if (!statSync(cwd).isDirectory()) return 'it is not a directory';
    accessSync(cwd, constants.X_OK);
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    return code === 'ENOENT' ? 'it does not exist' : 'permission denied';
  }
}
