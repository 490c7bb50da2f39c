import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOOLS = fileURLToPath(new URL('../../.bjr/tools', import.meta.url));

/**
 * The programs of Python packages (`name==version`), in a virtual environment of the project's, made once.
 * Null where Python or a package cannot be had.
 */
export function findPythonTools(name: string, packages: string[]): string | null {
  const folder = join(TOOLS, name);
  const stamp = join(folder, `complete-${packages.join('-').replaceAll('==', '-')}`);
  if (existsSync(stamp)) return join(folder, 'bin');
  console.log(`Fetching ${packages.join(', ')} into .bjr/tools (once) …`);
  rmSync(folder, { recursive: true, force: true });
  for (const [program = '', ...args] of [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin/pip'), 'install', '--quiet', ...packages],
  ]) {
    const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status === 0) continue;
    console.warn(`${program} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}`);
    return null;
  }
  mkdirSync(stamp);
  return join(folder, 'bin');
}
