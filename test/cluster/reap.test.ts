import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createLog } from '../../src/platform/log.ts';
import { awaitRedis, connectRedis, type Redis } from '../../src/redis/connection.ts';
import { createWorkerRegistry, type Heartbeat, type WorkerRegistry } from '../../src/redis/workers.ts';
import { createReaper } from '../../src/scheduler/reap.ts';
import { claimRuns } from '../../src/store/claimRuns.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { type Network, startNetwork } from '../support/network.ts';

const workerId = '00000000-0000-4000-8000-000000000001';
const HEARTBEAT: Heartbeat = { workerId, host: 'a', pid: 1, version: '1', slots: 1, busy: 1, isQuiet: false };
const LEASE_MS = 30_000;

let env: TestEnvironment;
let network: Network;
let redis: Redis;
let registry: WorkerRegistry;
let nowMs = 0;
beforeAll(async () => {
  env = await createEnvironment();
});
beforeEach(async () => {
  network = await startNetwork(env.config.redis.port);
  redis = connectRedis({ ...env.config.redis, port: network.port }, createLog({ level: 'silent', format: 'json' }));
  await awaitRedis(redis, 30_000);
  registry = createWorkerRegistry(redis, `reap-${process.pid}-${Math.random()}:`);
  nowMs = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  redis.disconnect();
  await network.close();
});
afterAll(() => env.close());

const createReap = () =>
  createReaper({
    db: env.db,
    registry,
    wakeUps: { send: () => Promise.resolve() },
    leaseMs: LEASE_MS,
    databaseUpForMs: () => Number.POSITIVE_INFINITY,
    monotonic: () => nowMs,
    emit: () => {},
  });
const claim = async () => {
  const id = await addJob(env);
  const { runs } = await claimRuns(env.db, { workerId, limit: 1, leaseMs: LEASE_MS, misfireGraceMs: 60_000 });
  expect(runs).toMatchObject([{ jobId: id }]);
  return (seconds: number) =>
    env.query('UPDATE jobs SET lease_expires_at = UTC_TIMESTAMP(6) + INTERVAL ? SECOND WHERE id = ?', [seconds, id]);
};

test('an outage of Redis that is over does not count in the next', async () => {
  const expireIn = await claim();
  const reap = createReap();
  await expireIn(-1);
  network.cut();
  expect(await reap()).toBe(0);
  // Its worker renews; nobody has to be looked for, and Redis comes back.
  await expireIn(60);
  network.heal();
  expect(await awaitRedis(redis, 30_000)).toBe(true);
  nowMs += 10 * LEASE_MS;
  expect(await reap()).toBe(0);
  // The worker loses the database, and this node Redis: the worker has a lease's time from now on.
  await expireIn(-1);
  network.cut();
  nowMs += 10 * LEASE_MS;
  expect(await reap()).toBe(0);
  nowMs += LEASE_MS;
  expect(await reap()).toBe(1);
});

test('living workers are listed whatever the clock of a node says', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 2 * 3_600_000 });
  await registry.beat(HEARTBEAT, [], 60_000);
  vi.setSystemTime(Date.now() + 28 * 3_600_000);
  expect(await registry.list()).toMatchObject([{ workerId }]);
});
