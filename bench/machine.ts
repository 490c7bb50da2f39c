import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { provideProgram } from '../src/embedded/programs.ts';

const TOOLS = fileURLToPath(new URL('../.bjr/servers', import.meta.url));

/** What the figures were measured on. */
/** `kind`: null where no database is started. */
export async function describeMachine(kind: 'mysql' | 'mariadb' | null): Promise<string> {
  const [cpu] = cpus();
  return [
    new Date().toISOString().slice(0, 16).replace('T', ' '),
    `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${release()}, load ${loadavg()[0]?.toFixed(2)} at the start`,
    `Node ${process.version}`,
    ...(kind ? [await describeDatabase(kind)] : []),
  ].join('\n');
}

async function describeDatabase(kind: 'mysql' | 'mariadb'): Promise<string> {
  const found = { toolsDir: TOOLS, path: process.env['PATH'] ?? '', onProgress: console.error };
  const program = await provideProgram(kind, found);
  const version = program ? spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout : 'in Docker';
  return version
    .replace(/^\S+\s+/, `${kind} `)
    .replace(/\s+/g, ' ')
    .trim();
}
