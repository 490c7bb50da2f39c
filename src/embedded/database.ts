import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDockerRunning, startContainer } from './docker.ts';
import { keepPort } from './port.ts';
import { type FindOptions, findProgram, howToInstall, provideProgram } from './programs.ts';
import { startServer, stopOrphan } from './serverProcess.ts';

export type DatabaseKind = 'mysql' | 'mariadb';

export interface PrivateDatabase {
  kind: DatabaseKind;
  host: string;
  port: number;
  username: string;
  password: string;
  stop(): Promise<void>;
}

export interface DatabaseOptions extends FindOptions {
  /** In the order of preference: found ones first, then fetched ones. */
  kinds: DatabaseKind[];
  directory: string;
  /** For tests: commits need not survive a crash of the machine. */
  isThrowaway: boolean;
  /** Further ones for the server; a container gets none. */
  args?: string[];
}

const USERNAME = 'bjr';

/** A private database server on the loopback address, with a random password: found on this machine, fetched, or in Docker. */
export async function startDatabase(options: DatabaseOptions): Promise<PrivateDatabase> {
  const { directory } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const server = await chooseServer(options);
  if (!server && !isDockerRunning()) throw new Error(howToInstall(options.kinds));
  const kind = server?.kind ?? options.kinds[0] ?? 'mysql';
  requireSameKind(directory, kind);
  await stopOrphan('database', directory);
  const port = await keepPort(join(directory, 'port'));
  const password = keepPassword(join(directory, 'password'));
  const { stop } = server
    ? await startNative({ ...options, ...server, port, password })
    : await startInDocker({ kind, port, password, isThrowaway: options.isThrowaway });
  return { kind, host: '127.0.0.1', port, username: server ? USERNAME : 'root', password, stop };
}

interface Server {
  kind: DatabaseKind;
  program: string;
}

/** The data directory's own kind first, then what is here, then what can be fetched. */
async function chooseServer(options: DatabaseOptions): Promise<Server | null> {
  const made = readKind(options.directory);
  const kinds = made && options.kinds.includes(made) ? [made] : options.kinds;
  for (const kind of kinds) {
    const program = findProgram(kind, options);
    if (program) return { kind, program };
  }
  for (const kind of kinds) {
    const program = await provideProgram(kind, options);
    if (program) return { kind, program };
  }
  return null;
}

function readKind(directory: string): DatabaseKind | null {
  const file = join(directory, 'kind');
  if (!existsSync(file)) return null;
  return readFileSync(file, 'utf8') === 'mariadb' ? 'mariadb' : 'mysql';
}

/** Neither server reads the other's files. */
function requireSameKind(directory: string, kind: DatabaseKind): void {
  const made = readKind(directory);
  if (made && made !== kind) {
    throw new Error(
      `The data in ${directory} was made by ${made}, and this is ${kind}. Start over with: bin/dev --fresh`,
    );
  }
  writeFileSync(join(directory, 'kind'), kind);
}

function keepPassword(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

interface NativeStart extends Server, Pick<DatabaseOptions, 'directory' | 'isThrowaway' | 'args'> {
  port: number;
  password: string;
}

async function startNative(options: NativeStart) {
  const { kind, program, directory, port, password, isThrowaway } = options;
  const data = join(directory, 'data');
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  const own = isOwn(program) ? [] : ['--no-defaults'];
  initialize({ kind, program, data, args: [...own, ...asRoot] });
  const socketFolder = mkdtempSync(join(tmpdir(), 'bjr-db-'));
  const accounts = join(directory, 'accounts.sql');
  writeFileSync(accounts, accountsSql(password), { mode: 0o600 });
  const args = [
    ...own,
    ...asRoot,
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    '--skip-name-resolve',
    `--socket=${join(socketFolder, 's')}`,
    `--init-file=${accounts}`,
    '--innodb-buffer-pool-size=128M',
    '--max-connections=500',
    ...(kind === 'mysql' ? ['--mysqlx=OFF', '--secure-file-priv='] : []),
    ...(isThrowaway ? ['--innodb-flush-log-at-trx-commit=0', '--skip-log-bin'] : []),
    ...(options.args ?? []),
  ];
  const server = await startServer({ name: 'database', program, args, port, directory });
  return {
    async stop() {
      await server.stop();
      rmSync(socketFolder, { recursive: true, force: true });
    },
  };
}

/** Fetched servers bring their options in a wrapper. */
const isOwn = (program: string) => existsSync(join(dirname(program), '..', 'root'));

/** `CREATE … IF NOT EXISTS` and again at every start: a password that was removed by hand is made anew. */
function accountsSql(password: string): string {
  const hosts = ['127.0.0.1', 'localhost'];
  const forHost = (host: string) => [
    `CREATE USER IF NOT EXISTS '${USERNAME}'@'${host}' IDENTIFIED BY '${password}';`,
    `ALTER USER '${USERNAME}'@'${host}' IDENTIFIED BY '${password}';`,
    `GRANT ALL PRIVILEGES ON *.* TO '${USERNAME}'@'${host}' WITH GRANT OPTION;`,
  ];
  const root = `ALTER USER 'root'@'localhost' IDENTIFIED BY '${password}';`;
  return `${[...hosts.flatMap(forHost), root].join('\n')}\n`;
}

/** Makes the data directory, whole or not at all: a first start that was cut off is begun again. */
function initialize({ kind, program, data, args }: Server & { data: string; args: string[] }): void {
  if (existsSync(data)) return;
  const draft = `${data}.new`;
  rmSync(draft, { recursive: true, force: true });
  if (kind === 'mysql') runToEnd(program, [...args, '--initialize-insecure', `--datadir=${draft}`]);
  else bootstrapMariadb(program, [...args, `--datadir=${draft}`], draft);
  renameSync(draft, data);
}

/** What mariadb-install-db does, without the programs that it looks for in fixed places. */
function bootstrapMariadb(program: string, args: string[], draft: string): void {
  mkdirSync(draft, { mode: 0o700 });
  const folder = dirname(program);
  const shares = ['../root/usr/share/mysql', '../share/mysql', '../share/mariadb'].map((share) => join(folder, share));
  const share = shares.find((candidate) => existsSync(join(candidate, 'mysql_system_tables.sql')));
  if (!share) throw new Error(`The system tables of ${program} are not where they should be (${shares.join(', ')})`);
  const tables = ['mysql_system_tables.sql', 'mysql_performance_tables.sql', 'mysql_system_tables_data.sql'];
  const sql = tables.map((file) => readFileSync(join(share, file), 'utf8')).join('\n');
  runToEnd(
    program,
    [...args, '--bootstrap', '--enforce-storage-engine='],
    `CREATE DATABASE mysql;\nUSE mysql;\n${sql}`,
  );
}

function runToEnd(program: string, args: string[], input = ''): void {
  const { status, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0)
    throw new Error(`${program} could not make its data directory:\n${error?.message ?? stderr.slice(-2000)}`);
}

function startInDocker({ kind, port, password, isThrowaway }: Omit<NativeStart, 'program' | 'directory' | 'args'>) {
  const name = kind === 'mysql' ? 'MYSQL_ROOT_PASSWORD' : 'MARIADB_ROOT_PASSWORD';
  return startContainer({ kind, port, env: { [name]: password }, volume: isThrowaway ? null : `bjr-${kind}-data` });
}
