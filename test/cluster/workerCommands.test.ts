import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/platform/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { awaitRedis, connectRedis, type Redis } from '../../src/redis/connection.ts';
import { createWorkerCommands, listenForCommands, type WorkerCommand } from '../../src/redis/workerCommands.ts';
import { createWorkerRegistry } from '../../src/redis/workers.ts';
import { baseEnvironment, createEnvironment } from '../support/environment.ts';
import { startNetwork } from '../support/network.ts';
import { startProcess, until } from '../support/processes.ts';

let redis: Redis;
beforeEach(async () => {
  redis = connectRedis(loadConfig(baseEnvironment()).redis, createLog({ level: 'silent', format: 'json' }));
  await awaitRedis(redis, 30_000);
});
afterEach(() => redis.disconnect());

test('what is no command is passed over, and the worker hears the next', async () => {
  const prefix = `commands-${process.pid}:`;
  const heard: WorkerCommand[] = [];
  const listener = listenForCommands(redis, { prefix, host: 'a' }, (command) => heard.push(command));
  await until(async () => Number((await redis.pubsub('NUMSUB', `${prefix}commands`))[1]) === 1, 'the listener');
  for (const text of ['', 'null', '{', '{"host":"a","command":"constructor"}'])
    await redis.publish(`${prefix}commands`, text);
  await createWorkerCommands(redis, prefix).send({ host: 'a', command: 'quiesce' });
  await until(() => heard.length > 0, 'the command');
  listener.close();
  expect(heard).toEqual(['quiesce']);
});

test('a worker that is ready is seen and hears, however slow its Redis', async () => {
  const env = await createEnvironment();
  const network = await startNetwork(env.config.redis.port);
  network.slow(200);
  const worker = startProcess('worker', { ...env.env, REDIS_PORT: String(network.port) });
  try {
    const { workerId } = await worker.line((line) => line['msg'] === 'The worker is ready');
    const { prefix } = env.config.redis;
    expect(await createWorkerRegistry(redis, prefix).list()).toMatchObject([{ workerId }]);
    expect((await redis.pubsub('NUMSUB', `${prefix}commands`))[1]).toBe(1);
  } finally {
    await worker.end('SIGKILL');
    await network.close();
    await env.close();
  }
});
