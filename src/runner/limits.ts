import { existsSync } from 'node:fs';
import type { Limits } from './protocol.ts';

/** What is executed, with which environment. */
export interface Invocation {
  file: string;
  args: string[];
  env: Record<string, string>;
}

const NICE = existsSync('/usr/bin/nice') ? '/usr/bin/nice' : '/bin/nice';
/** With these the dynamic linker runs code of the user's choice, before a limit is set. */
const LOADER_VARIABLE = /^(?:LD_\w+|GLIBC_TUNABLES)$/;
const HELD = 'BJR_HELD_';
const NOT_SET = /^BJR: (the limit of .* could not be set)$/m;

/**
 * Sets a command's limits in its own process, through bash (which Node's spawn cannot do): `-p` keeps bash from reading
 * BASH_ENV and functions out of the job's environment, and the loader's variables are handed on after the limits.
 */
export function withLimits(program: Invocation, limits: Limits | undefined, bash: string): Invocation {
  if (!limits || !hasLimits(limits)) return program;
  const { file, args, env } = program;
  const held = Object.keys(env).filter((name) => LOADER_VARIABLE.test(name));
  const script = [...limitLines(limits), ...held.map(release), 'exec "$@"'].join('\n');
  const nice = limits.nice > 0 ? [NICE, '-n', String(limits.nice)] : [];
  const [first = bash, ...rest] = [...nice, bash, '-p', '-c', script, 'bash', file, ...args];
  return { file: first, args: rest, env: hold(env, held) };
}

export const hasLimits = (limits: Limits | undefined) => Object.values(limits ?? {}).some((limit) => limit > 0);

/** Why a command with limits ended before it began, if it did. */
export function describeLimitFailure(exitCode: number, stderr: string): string | null {
  const what = exitCode === 126 && NOT_SET.exec(stderr)?.[1];
  return what ? `The command was not started: ${what}.` : null;
}

/** bash counts all of them but processes in units of 1024 bytes. */
function limitLines({ memoryBytesMax, processesMax, fileBytesMax }: Limits): string[] {
  const lines: [string, string, number][] = [
    ['memory', '-v', Math.floor(memoryBytesMax / 1024)],
    ['processes', '-u', processesMax],
    ['file size', '-f', Math.floor(fileBytesMax / 1024)],
  ];
  return lines.flatMap(([name, flag, value]) =>
    value > 0 ? `ulimit ${flag} ${value} || { echo 'BJR: the limit of ${name} could not be set' >&2; exit 126; }` : [],
  );
}

function hold(env: Record<string, string>, held: string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [held.includes(name) ? HELD + name : name, value]),
  );
}

const release = (name: string) => `export ${name}="$${HELD}${name}"; unset ${HELD}${name}`;
