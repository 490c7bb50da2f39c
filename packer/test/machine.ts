import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { splitSetting } from './settings.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const BOOT = fileURLToPath(new URL('boot.sh', import.meta.url));
const ROOTS = fileURLToPath(new URL('../../.bjr/roots', import.meta.url));

export type Role = 'bjr' | 'bjr-api' | 'bjr-worker';
export type Machine = Awaited<ReturnType<typeof bootMachine>>;

const rootOf = (role: Role) => join(ROOTS, role);

/** A root folder that makeRoot.sh has made, running under its own systemd. */
export async function bootMachine(role: Role) {
  const process = spawn(BOOT, [rootOf(role)], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = once(process, 'exit');
  const init = await until(`the first process of ${role}`, () => firstChild(process));

  /** Standard output of a command in the machine, as its root. */
  async function inside(...command: string[]): Promise<string> {
    const namespaces = ['--mount', '--pid', '--uts', '--ipc', '--cgroup', '--root', '--wd'];
    const { stdout } = await run('nsenter', ['--target', String(init), ...namespaces, '--', ...command]);
    return stdout.trim();
  }
  const show = (unit: string, property: string) => inside('systemctl', 'show', '--value', '--property', property, unit);

  return {
    role,
    inside,
    show,
    readFile: (path: string) => readFileSync(join(rootOf(role), path), 'utf8'),
    journal: (unit: string) => inside('journalctl', '--no-pager', '--output', 'cat', '--unit', unit),
    awaitActive: (unit: string) =>
      until(`${unit} on ${role}`, async () => (await show(unit, 'ActiveState')) === 'active'),
    /** The environment that systemd gave to a service. */
    async environmentOf(unit: string) {
      const text = await inside('cat', `/proc/${await show(unit, 'MainPID')}/environ`);
      return new Map(text.split('\0').map(splitSetting));
    },
    async powerOff() {
      await inside('systemctl', '--no-block', 'poweroff');
      await ended;
      removeGroup(process);
    },
    /** For the end of a test that failed. */
    kill: () => process.kill('SIGKILL'),
  };
}

function firstChild({ pid }: ChildProcess): number | null {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  // Before boot.sh has become unshare, its children are the tools that it runs.
  const isUnshare = readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'unshare';
  return isUnshare && children !== '' ? Number(children.split(' ')[0]) : null;
}

function removeGroup({ pid }: ChildProcess): void {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const cgroups = mounts.find((line) => line.split(' ')[2] === 'cgroup2')?.split(' ')[1];
  removeFolders(`${cgroups}/bjr-image-${pid}`);
}

/** The files of a cgroup cannot be deleted, and go with it. */
function removeFolders(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeFolders(join(folder, entry.name));
  rmdirSync(folder);
}

/** Where cloud-init looks for it outside clouds. */
export function giveUserData(role: Role, userData: string): void {
  const seed = join(rootOf(role), 'var/lib/cloud/seed/nocloud');
  mkdirSync(seed, { recursive: true });
  writeFileSync(join(seed, 'user-data'), userData);
  writeFileSync(join(seed, 'meta-data'), `instance-id: ${role}\n`);
  writeFileSync(join(seed, 'network-config'), 'version: 2\n');
}
