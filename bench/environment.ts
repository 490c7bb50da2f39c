import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SMALL } from '../src/commands/dev.ts';
import { findFreePort } from '../src/embedded/port.ts';
import { seedFirstStart } from '../src/services/seed.ts';
import { createEnvironment, type TestEnvironment } from '../test/support/environment.ts';
import { buildProgram } from '../test/support/program.ts';
import { startThrowawayServers } from '../test/support/servers.ts';
import { adopt, stopChild, stopChildren, whileStoppable } from './leave.ts';
import type { Options } from './scenario.ts';

/** Servers of a measurement's own, with the durability that they have by default, and the program as the images have it. */
export interface BenchServers {
  pids: { database: number; redis: number };
  /** A new database with the users of the first start and no enabled job, and its settings. */
  createDatabase(): Promise<TestEnvironment>;
  /** A command of the program; resolves once it is ready. Its log goes to a file, as it would in production. */
  start(env: TestEnvironment, command: Command, settings?: Record<string, string>): Promise<Program>;
  /** A command that ends by itself; milliseconds from its start to its end. */
  run(env: TestEnvironment, args: string[]): Promise<number>;
}

export interface Program {
  pid: number;
  /** Of an API. */
  url: string;
  /** From the start of the process until it was ready. */
  startMs: number;
  stop(): Promise<void>;
}

/** `args`: further ones for the database's server. */
export async function withServers<T>(
  options: Options,
  work: (servers: BenchServers) => Promise<T>,
  args: string[] = [],
): Promise<T> {
  options.say(`starting ${options.databaseKind} and Redis …`);
  const starting = startThrowawayServers(options.databaseKind, { isDurable: true, args });
  const folder = mkdtempSync(join(tmpdir(), 'program-'));
  const environments: TestEnvironment[] = [];
  let programs = 0;
  const stop = async () => {
    await stopChildren();
    // The databases go with their server. It also ends a statement that a connection still waits for.
    const stopping = starting.then((servers) => servers.stop());
    await Promise.allSettled([...environments.map((env) => env.disconnect()), stopping]);
  };
  return whileStoppable(stop, async () => {
    const servers = await starting;
    Object.assign(process.env, servers.env);
    const main = buildProgram(join(folder, 'program'));
    return work({
      pids: servers.pids,
      async createDatabase() {
        const env = await createEnvironment({ LOG_LEVEL: 'info', STATE_DIRECTORY: join(folder, 'state') });
        environments.push(env);
        await seedFirstStart(env.db, env.config.seed);
        await env.query("UPDATE jobs SET enabled = 0, state = 'idle', due_at = NULL");
        return env;
      },
      async start(env, command, settings = {}) {
        const log = join(folder, `${command}-${++programs}.log`);
        const line = BARE[command] ?? [SMALL, main, command];
        return startProgram(line, { ...env.env, ...settings }, log);
      },
      run: ({ env }, command) => runProgram(env, [main, ...command]),
    });
  });
}

const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
type Command = 'api' | 'worker' | 'bareApi' | 'bareWorker';
const BARE: Partial<Record<Command, string[]>> = {
  bareApi: [fileOf('bareApi.ts')],
  bareWorker: [fileOf('bareWorker.mjs')],
};

async function runProgram(env: Record<string, string>, args: string[]): Promise<number> {
  const beganMs = performance.now();
  const child = adopt(spawn(process.execPath, args, { env, stdio: 'ignore' }));
  const [code] = await once(child, 'exit');
  // 1: the doctor has found something.
  if (code !== 0 && code !== 1) throw new Error(`${args.join(' ')} ended with ${code}`);
  return performance.now() - beganMs;
}

async function startProgram(args: string[], env: Record<string, string>, log: string): Promise<Program> {
  const port = await findFreePort();
  const beganMs = performance.now();
  const output = openSync(log, 'w');
  const child = adopt(
    spawn(process.execPath, args, {
      env: { ...env, PORT: String(port), TMPDIR: tmpdir() },
      stdio: ['ignore', output, output],
    }),
  );
  closeSync(output);
  while (!/"msg":"The (?:worker|API) is ready/.test(readFileSync(log, 'utf8'))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${args.join(' ')} ended at once:\n${readFileSync(log, 'utf8')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    pid: child.pid ?? 0,
    url: `http://127.0.0.1:${port}`,
    startMs: performance.now() - beganMs,
    stop: () => stopChild(child),
  };
}
