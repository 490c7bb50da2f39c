import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Puts the program into a folder as the images have it, as JavaScript. Returns the file that starts it. */
export function buildProgram(folder: string): string {
  mkdirSync(folder);
  const target = join(folder, 'dist');
  execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'tools/build.ts'), target]);
  for (const name of ['node_modules', 'drizzle', 'package.json']) symlinkSync(join(ROOT, name), join(folder, name));
  return join(target, 'main.js');
}
