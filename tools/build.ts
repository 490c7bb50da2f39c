import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * npm run build [FOLDER]: the program as JavaScript, in dist/ or that folder, for where BJR is deployed. Nothing is compiled:
 * types become blanks, as Node itself makes them at each start, so that lines and columns are those of the sources. What strips
 * types takes 30 MB of a process, and never gives them back.
 */
const SOURCES = fileURLToPath(new URL('../src', import.meta.url));
const target = process.argv[2] ?? 'dist';

rmSync(target, { recursive: true, force: true });
for (const entry of readdirSync(SOURCES, { recursive: true, withFileTypes: true })) {
  if (entry.isFile()) build(join(entry.parentPath, entry.name).slice(SOURCES.length));
}

function build(path: string): void {
  if (path.endsWith('.d.ts')) return;
  const [from, to] = [join(SOURCES, path), join(target, path)];
  mkdirSync(dirname(to), { recursive: true });
  if (extname(path) === '.ts') {
    writeFileSync(to.replace(/\.ts$/, '.js'), relink(stripTypeScriptTypes(readFileSync(from, 'utf8'))));
  } else {
    cpSync(from, to);
  }
}

/** Each name of one of the program's own files that stands in quotes: imports, and what a process or thread is started with. */
function relink(text: string): string {
  return text.replaceAll(/(['"])(\.{1,2}\/[\w/.-]+)\.ts\1/g, '$1$2.js$1');
}
