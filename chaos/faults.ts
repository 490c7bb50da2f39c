import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../test/support/processes.ts';
import { type Cluster, connect, LEASE_MS, type WorkerNode } from './cluster.ts';
import type { Random } from './random.ts';

/** Something that goes wrong, and is over when `inject` has resolved. */
export interface Fault {
  name: string;
  /** The rows of the fault list that it stands for. */
  rows: string;
  inject(cluster: Cluster, random: Random): Promise<void>;
}

const LONGER_THAN_LEASE_MS = LEASE_MS * 1.5;

export function createFaults(clockLibrary: string | null): Fault[] {
  return [
    {
      name: 'a worker is killed (-9)',
      rows: 'F3 F11',
      inject: (cluster, random) => crash(cluster, random.pick(cluster.workers), random),
    },
    {
      name: 'the leader is killed (-9)',
      rows: 'F3 F5',
      inject: (cluster, random) => crash(cluster, leaderOf(cluster), random),
    },
    { name: 'all workers are replaced at once', rows: 'F23', inject: replaceAll },
    { name: 'a worker is told to stop (TERM)', rows: 'F13', inject: (cluster, random) => stopInOrder(cluster, random) },
    { name: 'a worker is frozen beyond its lease (STOP, CONT)', rows: 'F12', inject: freezeWorker },
    { name: 'a runner is killed (-9)', rows: 'F20', inject: killRunner },
    { name: 'Redis is killed and comes back empty', rows: 'F21', inject: killRedis },
    { name: 'Redis is paused', rows: 'F21', inject: (cluster) => pause(cluster.redis.pid(), LONGER_THAN_LEASE_MS) },
    { name: 'Redis forgets everything (FLUSHALL)', rows: 'F21', inject: flushRedis },
    { name: 'the database is killed (-9) and recovers', rows: 'I7', inject: killDatabase },
    {
      name: 'the database is paused',
      rows: 'I7',
      inject: (cluster) => pause(cluster.database.pid(), LONGER_THAN_LEASE_MS),
    },
    { name: "the jobs' rows are locked by somebody", rows: 'F4', inject: lockRows },
    {
      name: 'a worker is cut off from Redis',
      rows: 'I6',
      inject: (cluster, random) => cutOff(cluster, random, ['redis']),
    },
    {
      name: 'a worker is cut off from the database',
      rows: 'I8',
      inject: (cluster, random) => cutOff(cluster, random, ['database']),
    },
    {
      name: 'a worker is cut off from both',
      rows: 'I8',
      inject: (cluster, random) => cutOff(cluster, random, ['database', 'redis']),
    },
    { name: "a worker's disk is full while the database is away", rows: 'I7', inject: fillDisk },
    { name: 'a worker dies with outcomes on its disk while the database is away', rows: 'I7', inject: crashWithSpool },
    ...(clockLibrary ? [clockFault(clockLibrary, '+26h'), clockFault(clockLibrary, '-2h')] : []),
  ];
}

async function crash(
  cluster: Cluster,
  worker: WorkerNode,
  random: Random,
  awayMs = random.between(100, 2000),
): Promise<void> {
  await worker.process.end('SIGKILL');
  await delay(awayMs);
  await cluster.startWorker(worker.name, {}, worker);
}

const electedAt = ({ process }: WorkerNode) =>
  Number(process.log.findLast((line) => line['event'] === 'leader_elected')?.['time'] ?? 0);

/** The one that was elected last, as far as its log tells. */
function leaderOf(cluster: Cluster): WorkerNode {
  return cluster.workers.reduce((a, b) => (electedAt(b) > electedAt(a) ? b : a));
}

async function replaceAll(cluster: Cluster): Promise<void> {
  await Promise.all(cluster.workers.map((worker) => worker.process.end('SIGKILL')));
  await Promise.all(cluster.workers.map((worker) => cluster.startWorker(worker.name, {}, worker)));
}

async function stopInOrder(cluster: Cluster, random: Random): Promise<void> {
  const worker = random.pick(cluster.workers);
  await worker.process.end('SIGTERM');
  await cluster.startWorker(worker.name, {}, worker);
}

async function freezeWorker(cluster: Cluster, random: Random): Promise<void> {
  // Long enough for its jobs to be taken over and to run elsewhere.
  await pause(random.pick(cluster.workers).process.pid, LEASE_MS * 3);
}

async function pause(pid: number, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await delay(ms);
  process.kill(pid, 'SIGCONT');
}

async function killRunner(cluster: Cluster, random: Random): Promise<void> {
  const { pid } = random.pick(cluster.workers).process;
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).split('\n');
  const runner = children.map(Number).find((child) => child > 0);
  if (runner) process.kill(runner, 'SIGKILL');
  await delay(1000);
}

async function killRedis(cluster: Cluster, random: Random): Promise<void> {
  cluster.redis.kill();
  await delay(random.between(500, LONGER_THAN_LEASE_MS));
  await cluster.redis.start();
}

async function flushRedis(cluster: Cluster): Promise<void> {
  const { Redis } = await import('ioredis');
  const client = new Redis({ port: Number(cluster.env['REDIS_PORT']) });
  await client.flushall();
  client.disconnect();
}

async function killDatabase(cluster: Cluster, random: Random): Promise<void> {
  cluster.database.kill();
  await delay(random.between(500, LONGER_THAN_LEASE_MS));
  await cluster.database.start();
}

async function lockRows(cluster: Cluster): Promise<void> {
  const connection = await connect(cluster.env);
  await connection.query('SET SESSION innodb_lock_wait_timeout = 50');
  await connection.beginTransaction();
  await connection.query('SELECT id FROM jobs FOR UPDATE');
  await delay(LONGER_THAN_LEASE_MS);
  await connection.rollback();
  await connection.end();
}

async function cutOff(cluster: Cluster, random: Random, from: ('database' | 'redis')[]): Promise<void> {
  const worker = random.pick(cluster.workers);
  const how = random.pick(['cut', 'freeze'] as const);
  for (const server of from) worker[server][how]();
  await delay(LONGER_THAN_LEASE_MS);
  for (const server of from) worker[server].heal();
}

/** A file stands where the spool was: like a full disk, no outcome can be written. */
async function fillDisk(cluster: Cluster, random: Random): Promise<void> {
  const worker = random.pick(cluster.workers);
  const spool = join(worker.stateDirectory, 'spool');
  renameSync(spool, `${spool}.aside`);
  writeFileSync(spool, '');
  worker.database.cut();
  await delay(LONGER_THAN_LEASE_MS);
  worker.database.heal();
  rmSync(spool);
  renameSync(`${spool}.aside`, spool);
}

async function crashWithSpool(cluster: Cluster, random: Random): Promise<void> {
  const worker = random.pick(cluster.workers);
  const spool = join(worker.stateDirectory, 'spool');
  worker.database.cut();
  await until(() => readdirSync(spool).length > 0, 'an outcome on disk').catch(() => {});
  await worker.process.end('SIGKILL');
  const restarted = cluster.startWorker(worker.name, {}, worker);
  await delay(1000);
  worker.database.heal();
  await restarted;
}

/** A worker whose own clock is wrong joins, and leads. */
function clockFault(library: string, shift: string): Fault {
  return {
    name: `a node's clock is off by ${shift}`,
    rows: 'F7',
    async inject(cluster, random) {
      const worker = random.pick(cluster.workers);
      await worker.process.end('SIGTERM');
      // The monotonic clock stays right: only a clock that can be set can be set wrong.
      const wrong = { LD_PRELOAD: library, FAKETIME: shift, FAKETIME_DONT_FAKE_MONOTONIC: '1', LEADER_ELECTION: 'off' };
      await cluster.startWorker(worker.name, wrong, worker);
      await delay(LONGER_THAN_LEASE_MS);
      await worker.process.end('SIGTERM');
      await cluster.startWorker(worker.name, {}, worker);
    },
  };
}

/** libfaketime from this machine, or unpacked from its distribution; null where there is none. */
export function provideClockLibrary(): string | null {
  const unpacked = fileURLToPath(new URL('../.bjr/servers/faketime', import.meta.url));
  const found = () => findLibrary('/usr/lib') ?? findLibrary(join(unpacked, 'usr/lib'));
  if (found()) return found();
  const work = mkdtempSync(join(tmpdir(), 'bjr-faketime-'));
  try {
    execFileSync('apt-get', ['-qq', 'download', 'libfaketime'], { cwd: work, stdio: 'ignore' });
    const [archive] = readdirSync(work);
    if (!archive) return null;
    mkdirSync(unpacked, { recursive: true });
    execFileSync('dpkg-deb', ['-x', join(work, archive), unpacked]);
    return found();
  } catch {
    return null;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function findLibrary(root: string): string | null {
  if (!existsSync(root)) return null;
  const folders = readdirSync(root).filter((name) => name.endsWith('-linux-gnu'));
  const candidates = folders.map((folder) => join(root, folder, 'faketime/libfaketimeMT.so.1'));
  return candidates.find(existsSync) ?? null;
}
