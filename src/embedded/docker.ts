import { spawnSync } from 'node:child_process';
import { execa } from 'execa';
import { awaitPort } from './port.ts';

const IMAGES = { mysql: 'mysql:8.4', mariadb: 'mariadb:11', redis: 'redis:7' };
const PORTS = { mysql: 3306, mariadb: 3306, redis: 6379 };

export function isDockerRunning(): boolean {
  return spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0;
}

export interface ContainerStart {
  kind: keyof typeof IMAGES;
  port: number;
  env: Record<string, string>;
  /** A volume for the data, or none. */
  volume: string | null;
}

/** Runs a server in a container that is published on the loopback address only, and removes it at its stop. */
export async function startContainer({ kind, port, env, volume }: ContainerStart): Promise<{ stop(): Promise<void> }> {
  const name = `bjr-${kind}-${port}`;
  const data = kind === 'redis' ? '/data' : '/var/lib/mysql';
  const args = ['run', '--detach', '--rm', '--name', name, '--publish', `127.0.0.1:${port}:${PORTS[kind]}`];
  if (volume) args.push('--volume', `${volume}:${data}`);
  // Values go through the client's environment: a command line can be read by everyone.
  for (const key of Object.keys(env)) args.push('--env', key);
  await docker(['rm', '--force', name]);
  const started = await docker([...args, IMAGES[kind]], { ...env, PATH: '/usr/local/bin:/usr/bin:/bin' });
  if (started.failed) throw new Error(`docker run ${IMAGES[kind]} failed: ${started.stderr}`);
  await awaitPort(port, { timeoutMs: 120_000, failure: () => null });
  return {
    async stop() {
      await docker(['stop', name]);
    },
  };
}

/** A pull may take minutes; whoever waits for it can be stopped meanwhile. */
const docker = (args: string[], env?: Record<string, string>) =>
  execa('docker', args, { stdin: 'ignore', reject: false, ...(env && { env, extendEnv: false }) });
