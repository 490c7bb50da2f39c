import type { Owner } from './protocol.ts';

let hasGroups = true;

/**
 * Does something at once with the rights of a command's user: only the kernel knows what that user may enter or read. The
 * real and the saved user stay root's, so that user's processes can neither trace nor signal this one meanwhile.
 * Supplementary groups are given up for good: a runner whose commands have users needs none.
 */
export function asUser<T>({ uid, gid }: Owner, work: () => T): T {
  if (hasGroups) process.setgroups?.([]);
  hasGroups = false;
  const [ownUid, ownGid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  process.setegid?.(gid);
  try {
    process.seteuid?.(uid);
    return work();
  } finally {
    process.seteuid?.(ownUid);
    process.setegid?.(ownGid);
  }
}
