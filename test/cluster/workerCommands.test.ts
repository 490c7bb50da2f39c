import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/platform/config.ts';
import { createLog } from '../../src/platform/log.ts';
import { awaitRedis, connectRedis, type Redis } from '../../src/redis/connection.ts';
import { createWorkerCommands, listenForCommands, type WorkerCommand } from '../../src/redis/workerCommands.ts';
import { baseEnvironment } from '../support/environment.ts';
import { until } from '../support/processes.ts';

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
