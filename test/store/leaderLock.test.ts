import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabaseLeaderLock } from '../../src/store/leaderLock.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

test('the lock in the database is held by one, for as long as Redis is away, without growing', async () => {
  const warnings: string[] = [];
  const warn = ({ message }: Error) => void warnings.push(message);
  process.on('warning', warn);
  const [own, other] = [1, 2].map(() => createDatabaseLeaderLock(env.db, env.config.database.name));
  for (let pass = 0; pass < 20; pass++) expect(await own?.hold()).toBe(true);
  expect(await other?.hold()).toBe(false);
  own?.release();
  await setImmediate();
  expect(warnings).toEqual([]);
  process.off('warning', warn);
});
