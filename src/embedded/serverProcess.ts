import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from './lockFile.ts';
import { awaitPort } from './port.ts';

export interface ServerProcess {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface ServerStart {
  name: string;
  program: string;
  args: string[];
  port: number;
  /** Holds the log and the pid of the server. */
  directory: string;
  startTimeoutMs?: number;
}

/** Starts a server in a session of its own, so that a Ctrl-C reaches only who stops it in order, and waits for its port. */
export async function startServer({ name, program, args, port, directory, startTimeoutMs = 60_000 }: ServerStart) {
  const logFile = join(directory, `${name}.log`);
  const pidFile = join(directory, `${name}.pid`);
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], cwd: directory });
  closeSync(log);
  let ending: string | null = null;
  const ended = new Promise<void>((resolve) => {
    const settle = (reason: string) => {
      ending ??= `${name} ${reason}. The end of ${logFile}:\n${tailOf(logFile)}`;
      resolve();
    };
    child.once('exit', (code, signal) => settle(`ended at once (${signal ?? code})`));
    child.once('error', (error) => settle(`could not be started: ${error.message}`));
  });
  const { pid } = child;
  if (pid !== undefined) writeFileSync(pidFile, String(pid));
  await awaitPort(port, { timeoutMs: startTimeoutMs, failure: () => ending });
  child.unref();
  return {
    pid: pid ?? 0,
    async stop() {
      if (ending === null) child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(late);
      rmSync(pidFile, { force: true });
    },
  } satisfies ServerProcess;
}

/** A database writes its pages out before it ends. */
const STOP_MS = 30_000;

/** Ends the server that an earlier owner of the directory, who was killed, has left running there. */
export async function stopOrphan(name: string, directory: string): Promise<boolean> {
  const pidFile = join(directory, `${name}.pid`);
  const pid = readPid(pidFile);
  const isOurs = pid !== null && isAlive(pid) && isOf(pid, directory);
  if (pid !== null && isOurs) await end(pid);
  rmSync(pidFile, { force: true });
  return isOurs;
}

async function end(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  for (let waitedMs = 0; isAlive(pid) && waitedMs < STOP_MS; waitedMs += 50) await delay(50);
  if (isAlive(pid)) process.kill(pid, 'SIGKILL');
}

function readPid(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : null;
  } catch {
    return null;
  }
}

/** By its arguments, or where it rewrites those, as Redis does, by where it works. */
function isOf(pid: number, directory: string): boolean {
  if (commandLineOf(pid).includes(directory)) return true;
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(directory);
  } catch {
    return false;
  }
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '';
  }
}

function tailOf(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-15).join('\n');
}
