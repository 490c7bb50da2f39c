import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** The folder of this process's own cgroup (version 2), or why there is none: it is found, not looked for at usual places. */
export function findOwnCgroup(): { path: string } | { reason: string } {
  try {
    return findIn(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  } catch {
    return { reason: 'this system has no cgroups' };
  }
}

export function findIn(mountinfo: string, cgroup: string): { path: string } | { reason: string } {
  const mount = mountinfo.split('\n').flatMap((line) => parseMount(line) ?? [])[0];
  const own = /^0::(.*)$/m.exec(cgroup)?.[1];
  if (!mount || own === undefined) return { reason: 'no cgroups of version 2 are mounted' };
  const below = relative(mount.root, own);
  // A container may be shown another part of the hierarchy than the one that it is in, or be in none that it has a name for.
  if (below.startsWith('..') || own.startsWith('/..')) return { reason: 'its own cgroup is not mounted' };
  return { path: join(mount.point, below) };
}

/** proc_pid_mountinfo(5): the fields up to a hyphen vary in number, spaces and the like are octal codes. */
function parseMount(line: string): { root: string; point: string } | null {
  const [fields = '', type = ''] = line.split(' - ');
  const [, , , root, point] = fields.split(' ').map(decode);
  return type.startsWith('cgroup2 ') && root && point ? { root, point } : null;
}

const decode = (field: string) =>
  field.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
