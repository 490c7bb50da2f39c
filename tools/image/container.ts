import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { BuiltImage } from './build.ts';

/** A command of the image in namespaces of its own: near to a container, made of unshare, chroot and setpriv. */
export interface Container {
  /** The host's number of its process 1. */
  pid(): number;
  /** Standard output and error so far. */
  log(): string;
  /** Runs a program of the image beside it, as `docker exec` would. Returns its exit code. */
  exec(...command: string[]): number;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
}

export interface Start {
  args: string[];
  env: Record<string, string>;
  /** uid:gid instead of the image's. */
  user?: string;
  /** What is left of root's rights; none where none are named. */
  capabilities?: string[];
}

const MOUNT_AND_START = `
mount --bind /dev "$0/dev"
exec unshare --pid --fork --kill-child --root="$0" --wd=/opt/bjr --mount-proc "$@"`;

export function startContainer({ root, config }: BuiltImage, { args, env, user, capabilities = [] }: Start): Container {
  const [uid = '', gid = ''] = (user ?? config.User).split(':');
  const bounding = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
  const confine = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
  const limits = ['--inh-caps=-all', `--bounding-set=${bounding}`];
  const command = [...confine, ...limits, '--', ...config.Entrypoint, ...args];
  const variables = Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s) as [string, string]));
  const child = spawn('unshare', ['--mount', 'bash', '-c', MOUNT_AND_START, root, ...command], {
    env: { ...variables, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = collect(child);
  return {
    pid: () => firstChild(child.pid ?? 0),
    log: () => text.join(''),
    exec: (...program) => run(firstChild(child.pid ?? 0), program, { ...variables, ...env }),
    ended: new Promise((resolve) => child.once('close', resolve)),
  };
}

function collect(child: ChildProcess): string[] {
  const text: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (part: string) => text.push(part));
  return text;
}

const firstChild = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);

function run(pid: number, program: string[], env: Record<string, string>): number {
  try {
    execFileSync('nsenter', ['--target', String(pid), '--mount', '--pid', '--root', '--', ...program], { env });
    return 0;
  } catch (error) {
    if (error instanceof Error && 'status' in error && typeof error.status === 'number') return error.status;
    throw error;
  }
}
