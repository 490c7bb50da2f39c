import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { provideProgram } from '../src/embedded/programs.ts';

const TOOLS = fileURLToPath(new URL('../.bjr/servers', import.meta.url));

/** What the figures were measured on. */
export async function describeMachine(kind: 'mysql' | 'mariadb'): Promise<string> {
  const found = { toolsDir: TOOLS, path: process.env['PATH'] ?? '', onProgress: console.error };
  const program = await provideProgram(kind, found);
  const version = program ? spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout : 'in Docker';
  const [cpu] = cpus();
  return [
    new Date().toISOString().slice(0, 16).replace('T', ' '),
    `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${release()}`,
    `Node ${process.version}`,
    version
      .replace(/^\S+\s+/, `${kind} `)
      .replace(/\s+/g, ' ')
      .trim(),
  ].join('\n');
}
