import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, styleText } from 'node:util';
import { startDatabase } from '../embedded/database.ts';
import { takeLock } from '../embedded/lockFile.ts';
import { isPortFree } from '../embedded/port.ts';
import { startRedis } from '../embedded/redis.ts';
import { loadConfig } from '../platform/config.ts';
import { environment } from '../platform/settings.ts';
import { onStopSignals } from './stopSignals.ts';

const HELP = `bin/dev: BJR with all that it needs, for development and for trying it out.

  bin/dev            API on http://127.0.0.1:4000 and a worker, over a private MySQL and Redis
  bin/dev --fresh    the same, starting over with an empty database

It takes a server that the settings name (BJR_DATABASE_HOST, REDIS_HOST), else mysqld, mariadbd, redis-server or
valkey-server from this machine, else it fetches them. Data lives in .bjr/ (or where BJR_HOME says). PORT=4001 bin/dev
uses another port.
Ctrl-C stops all of it; a second Ctrl-C does not wait for running commands.`;

type Env = Record<string, string | undefined>;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** As the images start the API and the worker (deploy/docker/bjr). */
export const SMALL = '--max-semi-space-size=4';

/** Runs everything on one machine until Ctrl-C. Returns the exit code. */
export async function runDev(args: string[], env: Env): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { help: { type: 'boolean', short: 'h' }, fresh: { type: 'boolean' } },
  });
  if (values.help) return say(HELP);
  const port = Number(env['PORT'] || 4000);
  const url = `http://127.0.0.1:${port}`;
  const home = env['BJR_HOME'] || join(ROOT, '.bjr');
  const lock = takeLock(join(home, 'dev.lock'), url);
  if (!lock.isHeld) {
    const { pid, note } = lock.holder;
    return complain(
      `bin/dev is running here already: ${note}, process ${pid}. Stop it first (Ctrl-C there, or: kill ${pid}).`,
    );
  }
  try {
    const settings = withDefaults(env, home);
    // All that is wrong with them, and before anything is fetched or started.
    loadConfig(settings);
    if (!(await isPortFree(port))) {
      return complain(
        `Port ${port} is taken by another program. Stop that, or use another port: PORT=${port + 1} bin/dev`,
      );
    }
    if (values.fresh) rmSync(join(home, 'data'), { recursive: true, force: true });
    return await withServers(settings, home, () => supervise(settings, url));
  } catch (error) {
    return complain(error instanceof Error ? error.message : String(error));
  } finally {
    lock.release();
  }
}

function withDefaults(env: Env, home: string): Env {
  const settings: Env = { NODE_ENV: 'development', LOG_FORMAT: 'pretty', ...env };
  settings['SECRET_KEY_BASE'] ||= keepSecret(home);
  return settings;
}

/**
 * Starts the servers that the settings do not name, adds them to the settings, and stops them in the end whatever happens.
 * Meanwhile a file of them is there for other commands (bin/bjr).
 */
async function withServers(settings: Env, home: string, work: () => Promise<number>): Promise<number> {
  const common = { toolsDir: join(home, 'servers'), path: settings['PATH'] ?? '', onProgress };
  const stops: (() => Promise<void>)[] = [];
  const file = join(home, 'dev.env');
  try {
    if (!settings['BJR_DATABASE_HOST']) {
      onProgress('Starting the private database …');
      const directory = join(home, 'data/database');
      const database = await startDatabase({ ...common, kinds: ['mysql', 'mariadb'], directory, isThrowaway: false });
      stops.push(database.stop);
      settings['BJR_DATABASE_HOST'] = database.host;
      settings['BJR_DATABASE_PORT'] = String(database.port);
      settings['BJR_DATABASE_USERNAME'] = database.username;
      settings['BJR_DATABASE_PASSWORD'] = database.password;
    }
    if (!settings['REDIS_HOST']) {
      onProgress('Starting the private Redis …');
      const redis = await startRedis({ ...common, directory: join(home, 'data/redis') });
      stops.push(redis.stop);
      settings['REDIS_HOST'] = redis.host;
      settings['REDIS_PORT'] = String(redis.port);
    }
    writeSettings(file, settings);
    return await work();
  } finally {
    rmSync(file, { force: true });
    await Promise.all(stops.map((stop) => stop()));
  }
}

const onProgress = (line: string) => console.log(styleText('dim', line));

/** Kept, so that tokens stay valid over a restart. */
function keepSecret(home: string): string {
  const file = join(home, 'secret');
  mkdirSync(home, { recursive: true });
  if (!existsSync(file)) writeFileSync(file, randomBytes(48).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

/** All settings, for `node --env-file`: bin/bjr. */
function writeSettings(file: string, settings: Env): void {
  const lines = Object.keys(environment.shape).flatMap((name) => {
    const value = settings[name];
    return value === undefined ? [] : `${name}=${quote(value)}\n`;
  });
  // One of an earlier time would keep its mode.
  rmSync(file, { force: true });
  writeFileSync(file, lines.join(''), { mode: 0o600 });
}

/** Such a file has no escapes, but three kinds of quotes. Between double ones, which come last, `\n` is a line's end. */
const quote = (value: string) => {
  const mark = ["'", '`', '"'].find((one) => !value.includes(one)) ?? "'";
  return `${mark}${value}${mark}`;
};

async function supervise(settings: Env, url: string): Promise<number> {
  const migrated = await start('migrate', settings).ended;
  if (migrated !== 0) return migrated;
  const parts = [start('api', settings), start('worker', { ...settings, METRICS_PORT: portBeside(settings) })];
  const stop = (signal: NodeJS.Signals) => {
    for (const { child } of parts) child.kill(signal);
  };
  const stopped = onStopSignals({ onSecond: () => stop('SIGTERM') }).then(() => 'stopped' as const);
  const died = Promise.race(parts.map(({ name, ended }) => ended.then((code) => ({ name, code }))));
  void announce(url, Promise.race([stopped, died]));
  const first = await Promise.race([stopped, died]);
  if (first !== 'stopped') console.error(`The ${first.name} ended with code ${first.code}: stopping the rest.`);
  else console.log('\nStopping; running commands may finish (Ctrl-C again: they are ended).');
  stop('SIGTERM');
  const codes = await Promise.all(parts.map(({ ended }) => ended));
  return first === 'stopped' ? Math.max(...codes) : 1;
}

/** Both on one machine: the worker's metrics are on the port after the API's. */
function portBeside({ METRICS_PORT: port = '' }: Env): string {
  return port === '0' ? '0' : String(Number(port || 9464) + 1);
}

interface Part {
  name: string;
  child: ChildProcess;
  ended: Promise<number>;
}

const COLOURS = { migrate: 'dim', api: 'cyan', worker: 'green' } as const;

/** In a session of its own: Ctrl-C reaches `bin/dev`, which stops its parts in order. */
function start(name: keyof typeof COLOURS, settings: Env): Part {
  const child = spawn(process.execPath, [SMALL, MAIN, name], {
    env: settings,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const tag = styleText(COLOURS[name], `${name.padEnd(7)}| `);
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) console.log(tag + line);
    });
  }
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  return { name, child, ended };
}

/** Says where to go, once everything answers. */
async function announce(url: string, end: Promise<unknown>): Promise<void> {
  let isOver = false;
  void end.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const isUp = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (isOver) return;
  console.log(
    styleText(
      'bold',
      `\nBJR is ready:  ${url}/api-docs   user admin, password password1234\nNext: the walkthrough in README.md. Ctrl-C stops everything.\n`,
    ),
  );
}

function say(text: string): number {
  console.log(text);
  return 0;
}

function complain(text: string): number {
  console.error(text);
  return 1;
}
