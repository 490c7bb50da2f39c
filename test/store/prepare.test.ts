import { eq, getTableColumns, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepare } from '../../src/store/prepare.ts';
import { jobs, users } from '../../src/store/schema.ts';
import { setTags, tagNames } from '../../src/store/tags.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob, addUser } from '../support/jobs.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

test('a prepared read finds what drizzle finds, of every kind of column, null or not', async () => {
  await addUser(env, { id: 1, jobCount: 2 });
  const bare = await addJob(env, { state: 'idle' });
  const full = await addJob(env, {
    name: 'Ünï "cödé" \\ 🦔',
    env: { KEY: "a'b" },
    scheduledFor: new Date('2026-11-28T01:02:03.456Z'),
    startsAt: new Date('1999-12-31T23:59:59.999Z'),
    leaseOwner: 'w',
    leaseToken: 2 ** 53 - 1,
    success: false,
    durationWeightedMs: 0.1,
  });
  await setTags(env.db, { id: full, userId: 1 }, ['b', 'A']);
  const select = () =>
    env.db
      .select({ ...getTableColumns(jobs), tags: tagNames, one: sql<number>`1`.as('one') })
      .from(jobs)
      .where(eq(jobs.userId, sql.placeholder('userId')))
      .orderBy(jobs.id)
      .prepare();
  const found = await prepare(select)(env.db).execute({ userId: 1 });
  expect(found).toStrictEqual(await select().execute({ userId: 1 }));
  expect(found.map(({ id }) => id)).toEqual([bare, full]);
  expect(found[1]).toMatchObject({ success: false, tags: ['A', 'b'], one: 1, lastRun: null });
});

test('what is no read of flat rows is refused when it is built', () => {
  const nested = prepare((db) =>
    db
      .select({ job: { id: jobs.id } })
      .from(jobs)
      .prepare(),
  );
  expect(() => nested(env.db)).toThrow('job.id is no column of a flat row');
  const write = prepare((db) => db.delete(users).prepare());
  expect(() => write(env.db)).toThrow('This is no prepared read of drizzle');
});
