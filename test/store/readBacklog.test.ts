import { afterAll, beforeAll, expect, test } from 'vitest';
import { readBacklog } from '../../src/store/readBacklog.ts';
import { deliveries } from '../../src/store/schema.ts';
import { createEnvironment, databaseKind, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';

let env: TestEnvironment;
beforeAll(async () => {
  env = await createEnvironment();
});
afterAll(() => env.close());

const HOUR_MS = 3_600_000;

test('nothing waits in an empty database', async () => {
  const { databaseNowMs, ...counts } = await readBacklog(env.db);
  expect(databaseNowMs).toBeGreaterThan(0);
  expect(counts).toEqual({
    dueJobs: 0,
    dueSeconds: 0,
    unmarkedSeconds: 0,
    pendingCallbacks: 0,
    overdueCallbackSeconds: 0,
  });
});

test('what is due, unmarked or to be delivered is counted, from when it should have had its turn', async () => {
  const { databaseNowMs } = await readBacklog(env.db);
  const ago = (hours: number) => new Date(databaseNowMs - hours * HOUR_MS);
  const ahead = ago(-1);
  await addJob(env, { nextRun: ago(2) });
  await addJob(env, { nextRun: ago(1) });
  await addJob(env, { nextRun: ahead });
  await addJob(env, { nextRun: ago(3), state: 'idle' });
  await addJob(env, { nextRun: ago(9), state: 'idle', enabled: false });
  await addJob(env, { nextRun: null, state: 'idle' });
  await addJob(env, { nextRun: ago(9), state: 'leased', dueAt: null });
  const delivery = { jobId: 1, userId: 1, runId: 1, url: 'http://127.0.0.1:1/' };
  await env.db.insert(deliveries).values([
    { ...delivery, nextAttemptAt: ago(4) },
    { ...delivery, nextAttemptAt: ahead },
    { ...delivery, nextAttemptAt: ago(9), state: 'failed' },
  ]);
  const backlog = await readBacklog(env.db);
  expect(backlog).toMatchObject({ dueJobs: 2, pendingCallbacks: 2 });
  const hours = [backlog.dueSeconds, backlog.unmarkedSeconds, backlog.overdueCallbackSeconds].map((seconds) =>
    Math.floor(seconds / 3600),
  );
  expect(hours).toEqual([2, 3, 4]);
});

test('no part of it reads a table', async () => {
  const statements: { sql: string; params: unknown[] }[] = [];
  const db = Object.create(env.db, {
    select: {
      value: (fields: Parameters<typeof env.db.select>[0]) => ({
        from: (source: never) => {
          const query = env.db.select(fields as never).from(source);
          statements.push(query.toSQL());
          return query;
        },
      }),
    },
  });
  await readBacklog(db);
  const [statement] = statements;
  const plan = await env.query<{ table: string | null; key: string | null; type: string; Extra: string | null }>(
    `EXPLAIN ${databaseKind === 'mysql' ? 'FORMAT=TRADITIONAL' : ''} ${statement?.sql}`,
    statement?.params,
  );
  const reads = plan.filter(({ table }) => table !== null && !table.startsWith('<'));
  expect(reads.length).toBeGreaterThanOrEqual(5);
  for (const { key, type, Extra } of reads) {
    expect(['jobs_claim', 'jobs_mark', 'deliveries_claim']).toContain(key);
    expect(['ref', 'range']).toContain(type);
    expect(Extra ?? '').not.toContain('filesort');
  }
});
