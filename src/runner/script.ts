import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { admitOthers, ensurePrivate } from './privateDirectory.ts';
import type { Owner, StartRequest } from './protocol.ts';

/** What to execute for a command: bash, or the command's own interpreter where it begins with `#!`. */
export interface Program {
  file: string;
  args: string[];
  /** What the user knows it by, for messages. */
  interpreter: string;
  /** Removes what was written for it. */
  remove(): void;
}

export function prepareProgram({ command, env, owner }: StartRequest, directory: string): Program {
  return command.startsWith('#!') ? writeScript(command, directory, owner) : bashProgram(command, env);
}

const USUAL_BASH = '/bin/bash';
const hasUsualBash = existsSync(USUAL_BASH);

function bashProgram(command: string, env: Record<string, string>): Program {
  const file = findBash(env);
  return { file, args: ['-c', command], interpreter: file, remove: () => {} };
}

export const findBash = (env: Record<string, string>) =>
  hasUsualBash ? USUAL_BASH : findOnPath('bash', env['PATH'] ?? '');

function findOnPath(name: string, path: string): string {
  const candidates = path.split(delimiter).map((folder) => join(folder, name));
  return candidates.find((candidate) => existsSync(candidate)) ?? USUAL_BASH;
}

/**
 * Written synchronously: with a fork in between, the new process would hold the file open for writing until its exec, and
 * executing it would fail (ETXTBSY).
 */
function writeScript(command: string, directory: string, owner: Owner | undefined): Program {
  const text = withPlainFirstLine(command);
  ensurePrivate(directory);
  const folder = mkdtempSync(join(directory, 'script-'));
  const file = join(folder, 'command');
  writeFileSync(file, text, { mode: 0o700 });
  if (owner) handTo(owner, file, [directory, folder]);
  return {
    file,
    args: [],
    interpreter: interpreterOf(text),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The folders stay the runner's own: their user can neither put something else in the script's place nor add to them. */
function handTo({ uid, gid }: Owner, file: string, folders: string[]): void {
  chownSync(file, uid, gid);
  chmodSync(file, 0o500);
  for (const folder of folders) admitOthers(folder);
}

/** Web forms send CRLF; the kernel would take the carriage return for a part of the interpreter's name. */
const withPlainFirstLine = (command: string) => command.replace(/^(#![^\n]*?)\r+\n/, '$1\n');

const interpreterOf = (text: string) => /^#![ \t]*(\S*)/.exec(text)?.[1] ?? '';
