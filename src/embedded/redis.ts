import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDockerRunning, startContainer } from './docker.ts';
import { keepPort } from './port.ts';
import { type FindOptions, howToInstall, provideProgram } from './programs.ts';
import { startServer, stopOrphan } from './serverProcess.ts';

export interface PrivateRedis {
  host: string;
  port: number;
  stop(): Promise<void>;
}

/** A private Redis (or Valkey) on the loopback address. What it holds may be lost, so nothing is written to disk. */
export async function startRedis(options: FindOptions & { directory: string; args?: string[] }): Promise<PrivateRedis> {
  const { directory } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const program = await provideProgram('redis', options);
  if (!program && !isDockerRunning()) throw new Error(howToInstall(['redis']));
  await stopOrphan('redis', directory);
  const port = await keepPort(join(directory, 'port'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory];
  args.push(...(options.args ?? []));
  const { stop } = program
    ? await startServer({ name: 'redis', program, args, port, directory })
    : await startContainer({ kind: 'redis', port, env: {}, volume: null });
  return { host: '127.0.0.1', port, stop };
}
