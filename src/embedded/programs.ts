import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { takeLock } from './lockFile.ts';

export type ServerKind = 'mysql' | 'mariadb' | 'redis';
export type Progress = (line: string) => void;

export interface FindOptions {
  /** Where fetched servers are kept. */
  toolsDir: string;
  /** The search path of the environment. */
  path: string;
  onProgress: Progress;
}

/** Program names, best first, with the folders of packages that install outside the search path. */
const PROGRAMS: Record<ServerKind, string[]> = {
  mysql: ['mysqld'],
  mariadb: ['mariadbd'],
  redis: ['redis-server', 'valkey-server'],
};
const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/libexec'];
const FORMULAS: Record<ServerKind, string> = { mysql: 'mysql', mariadb: 'mariadb', redis: 'redis' };

/** A server's program from this machine or fetched earlier; null when there is none. */
export function findProgram(
  kind: ServerKind,
  { toolsDir, path }: Pick<FindOptions, 'toolsDir' | 'path'>,
): string | null {
  const brewed = ['/opt/homebrew/opt', '/usr/local/opt'].flatMap((opt) => [
    join(opt, FORMULAS[kind], 'bin'),
    join(opt, FORMULAS[kind], 'sbin'),
  ]);
  const folders = [...path.split(delimiter), ...FOLDERS, ...brewed, join(toolsDir, kind, 'bin')];
  const candidates = PROGRAMS[kind].flatMap((name) => folders.filter(Boolean).map((folder) => join(folder, name)));
  return candidates.find((file) => isExecutable(file) && isOfKind(file, kind)) ?? null;
}

/** A server's program, fetched where the machine has none; null when there is no way to fetch one here. */
export async function provideProgram(kind: ServerKind, options: FindOptions): Promise<string | null> {
  const found = findProgram(kind, options);
  if (found) return found;
  const release = await waitForLock(join(options.toolsDir, `${kind}.lock`), options.onProgress);
  try {
    // Whoever held the lock before may have fetched it.
    return findProgram(kind, options) ?? (await fetchProgram(kind, options));
  } finally {
    release();
  }
}

async function fetchProgram(kind: ServerKind, options: FindOptions): Promise<string | null> {
  const { toolsDir, onProgress, path } = options;
  if (hasProgram('apt-get', path) && hasProgram('dpkg-deb', path)) {
    onProgress(`There is no ${kind} server here: fetching one into ${join(toolsDir, kind)} (once)`);
    const script = fileURLToPath(new URL('download.sh', import.meta.url));
    if (await run('bash', [script, kind, join(toolsDir, kind)], onProgress)) return findProgram(kind, options);
  }
  if (hasProgram('brew', path)) {
    onProgress(`There is no ${kind} server here: brew install ${FORMULAS[kind]}`);
    if (await run('brew', ['install', FORMULAS[kind]], onProgress)) return findProgram(kind, options);
  }
  return null;
}

/** What to do where a server can neither be found nor fetched. */
export function howToInstall(kinds: ServerKind[]): string {
  const names = kinds.join(' or ');
  return [
    `There is no ${names} server on this machine and no way to fetch one (apt-get, Homebrew and Docker are missing).`,
    'Install one, for example:',
    '  Fedora, RHEL:  sudo dnf install mysql-server redis',
    '  Alpine:        apk add mariadb redis',
    '  Arch:          sudo pacman -S mariadb redis',
    'or name a running one: BJR_DATABASE_HOST, BJR_DATABASE_USERNAME, BJR_DATABASE_PASSWORD, REDIS_HOST.',
  ].join('\n');
}

export function hasProgram(name: string, path: string): boolean {
  return path.split(delimiter).some((folder) => folder !== '' && isExecutable(join(folder, name)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `mysqld` may be MariaDB under its old name. */
function isOfKind(file: string, kind: ServerKind): boolean {
  if (kind === 'redis') return true;
  const version = spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout ?? '';
  return /mariadb/i.test(version) === (kind === 'mariadb') && version !== '';
}

async function waitForLock(path: string, onProgress: Progress): Promise<() => void> {
  for (let isTold = false; ; isTold = true) {
    const lock = takeLock(path);
    if (lock.isHeld) return lock.release;
    if (!isTold) onProgress(`Waiting for process ${lock.holder.pid}, which is fetching the same server`);
    await delay(200);
  }
}

/** Whether it succeeded. Its lines are told as they come. */
async function run(program: string, args: string[], onProgress: Progress): Promise<boolean> {
  const running = execa(program, args, { stdin: 'ignore', all: true, buffer: false, reject: false });
  for await (const line of running.iterable({ from: 'all' })) if (line !== '') onProgress(line);
  return !(await running).failed;
}
