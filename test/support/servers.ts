import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DatabaseKind, startDatabase } from '../../src/embedded/database.ts';
import { findProgram } from '../../src/embedded/programs.ts';
import { startRedis } from '../../src/embedded/redis.ts';
import { type Certificates, makeCertificates } from './certificates.ts';

/** Servers fetched for `bin/dev` serve the tests too. */
export const TOOLS = fileURLToPath(new URL('../../.bjr/servers', import.meta.url));
const onProgress = (line: string) => console.log(line);

export interface ThrowawayServers {
  /** Where the tests find them (test/support/environment.ts). */
  env: Record<string, string>;
  pids: { database: number; redis: number };
  stop(): Promise<void>;
}

/**
 * A database server and a Redis in a folder of their own, in memory where the machine has a place for that. For measurements
 * `isDurable`: on disk, and commits survive a crash as they do by default.
 */
export async function startThrowawayServers(
  kind: DatabaseKind,
  { isDurable = false, args = [] }: { isDurable?: boolean; args?: string[] } = {},
): Promise<ThrowawayServers> {
  const parent = existsSync('/dev/shm') && !isDurable ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(join(parent, 'bjr-test-'));
  const common = { toolsDir: TOOLS, path: process.env['PATH'] ?? '', onProgress };
  const stops: (() => Promise<void>)[] = [];
  const readPid = (name: string) => Number(readFileSync(join(folder, name, `${name}.pid`), 'utf8'));
  const stop = async () => {
    await Promise.all(stops.map((stopOne) => stopOne()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const certificates = makeCertificates(join(folder, 'certificates'));
    const database = await startDatabase({
      ...common,
      kinds: [kind],
      directory: join(folder, 'database'),
      isThrowaway: !isDurable,
      args: [...args, ...Object.entries(certificates ?? {}).map(([name, file]) => `--ssl-${name}=${file}`)],
    });
    stops.push(database.stop);
    const redis = await startRedis({ ...common, directory: join(folder, 'redis') });
    stops.push(redis.stop);
    return {
      env: {
        BJR_TEST_DATABASE_KIND: database.kind,
        BJR_TEST_DATABASE_PORT: String(database.port),
        BJR_TEST_DATABASE_USERNAME: database.username,
        BJR_TEST_DATABASE_PASSWORD: database.password,
        BJR_TEST_REDIS_PORT: String(redis.port),
        // A container has none of them.
        ...(certificates && findProgram(kind, common) && { BJR_TEST_CERTIFICATES: JSON.stringify(certificates) }),
      },
      pids: { database: readPid('database'), redis: readPid('redis') },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A Redis of a test's own, for what must not be done to the suite's. */
export async function startThrowawayRedis(): Promise<{ port: number; stop(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'bjr-test-redis-'));
  const redis = await startRedis({ toolsDir: TOOLS, path: process.env['PATH'] ?? '', onProgress, directory });
  return {
    port: redis.port,
    async stop() {
      await redis.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Those of the database's server; null where it has none. */
export function certificatesOf(env: Record<string, string | undefined>): Certificates | null {
  const given = env['BJR_TEST_CERTIFICATES'];
  return given ? JSON.parse(given) : null;
}
