import { asUser } from './asUser.ts';
import { codeOf, describeDirectory, NotStarted } from './describeExit.ts';
import type { Owner } from './protocol.ts';

/**
 * Starts a command in its directory. Node's spawn enters it before it gives up root's rights, which go everywhere: so the
 * runner enters as the command's user first, and the command starts where the runner is.
 * @throws {NotStarted} where that user may not enter
 */
export function inJobDirectory<T>(cwd: string, owner: Owner | undefined, start: (cwd: string) => T): T {
  if (!owner) return start(cwd);
  enter(cwd, owner);
  try {
    return start('/proc/self/cwd');
  } finally {
    process.chdir('/');
  }
}

function enter(cwd: string, owner: Owner): void {
  try {
    asUser(owner, () => process.chdir(cwd));
  } catch (error) {
    throw new NotStarted(describeDirectory(cwd, codeOf(error)), error);
  }
}
