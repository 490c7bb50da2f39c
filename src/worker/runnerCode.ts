import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../runner', import.meta.url));
const STRIP = fileURLToPath(new URL('stripTypes.ts', import.meta.url));
const ENTRY = 'main.mjs';

let modules: [name: string, text: string][] | undefined;

/**
 * Writes a runner's program into its directory, as JavaScript, and returns its entry. A runner that stripped the types
 * itself had 45 MB of its own instead of 30, and a fork's cost follows that: 5.1 ms of processor time a start against 4.3.
 */
export function writeRunnerCode(directory: string): string {
  modules ??= readModules();
  const folder = join(directory, 'code');
  mkdirSync(folder, { mode: 0o700 });
  for (const [name, text] of modules) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, ENTRY);
}

function readModules(): [string, string][] {
  const args = ['--disable-warning=ExperimentalWarning', STRIP, SOURCE];
  const texts = JSON.parse(execFileSync(process.execPath, args, { env: {}, encoding: 'utf8' })) as Record<
    string,
    string
  >;
  return Object.entries(texts).map(([name, text]) => [name.replace(/\.ts$/, '.mjs'), relink(text)]);
}

const relink = (text: string) => text.replaceAll(/(from '\.\/\w+)\.ts'/g, "$1.mjs'");
