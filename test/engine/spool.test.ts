import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/platform/config.ts';
import { claimRuns } from '../../src/store/claimRuns.ts';
import { createDatabase } from '../../src/store/database.ts';
import { identify } from '../../src/worker/orphan.ts';
import { release } from '../../src/worker/release.ts';
import { settleLeft } from '../../src/worker/settleLeft.ts';
import { createSpool } from '../../src/worker/spool.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';

const log = pino({ level: 'silent' });
const own = identify(process.pid);
const unstarted = {
  jobId: 1,
  runId: 1,
  leaseToken: 1,
  trigger: 'schedule' as const,
  scheduledFor: new Date('2030-01-01T00:00:00Z'),
  attempt: 1,
};

let env: TestEnvironment;
let directory: string;
beforeAll(async () => {
  env = await createEnvironment();
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bjr-spool-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
afterAll(() => env.close());

test.each([
  ['whose pid another process has now', { ...own, startTicks: '1' }],
  [
    'of an earlier boot, though pid and start are the same',
    { ...own, place: own.place?.replace(/^\S+/, 'earlier') ?? '' },
  ],
  ['of another container, though pid and start are the same', { ...own, place: own.place?.replace(/\S*$/, '1') ?? '' }],
])('what a process has left is found: one %s', async (_, owner) => {
  await createSpool(directory, log, owner).keep({ unstarted });
  const spool = createSpool(directory, log);
  expect(await spool.findLeft()).toMatchObject([{ unstarted }]);
  await spool.forget(unstarted);
  expect(await spool.count()).toBe(0);
});

test('what a process that lives has kept is its own', async () => {
  await createSpool(directory, log).keep({ unstarted });
  expect(await createSpool(directory, log).findLeft()).toEqual([]);
});

test('a claim that a worker gives back on its way out, without a database, is given back by the next one', async () => {
  const id = await addJob(env, { command: 'echo not for the disk' });
  const claim = { workerId: 'a worker', limit: 1, leaseMs: 30_000, misfireGraceMs: 60_000 };
  const [run] = (await claimRuns(env.db, claim)).runs;
  if (!run) throw new Error('Nothing was due');
  const events: string[] = [];
  const emit = ({ type }: { type: string }) => void events.push(type);
  const { database } = loadConfig(env.env);
  const away = createDatabase({ ...database, port: 1 }, () => {});
  const spool = createSpool(directory, log, { ...own, startTicks: '1' });
  await release(run, { db: away, spool, log, emit, retryMsMax: 100, leaving: AbortSignal.abort() });
  await away.close();
  expect(events).toEqual([]);
  const [file = ''] = readdirSync(directory);
  expect(readFileSync(join(directory, file), 'utf8')).not.toContain('not for the disk');

  expect(await settleLeft({ db: env.db, spool, emit })).toBe(1);
  expect(events).toEqual(['lease_released']);
  expect(await env.query('SELECT state, run_id, scheduled_for FROM jobs WHERE id = ?', [id])).toMatchObject([
    { state: 'due', run_id: null },
  ]);
  expect(await env.query('SELECT * FROM job_runs WHERE job_id = ?', [id])).toEqual([]);
  expect(await spool.count()).toBe(0);
});

test('a worker does not start with a spool that is there and cannot be written', () => {
  expect(() => createSpool('/proc/self', log)).toThrow(/ENOENT|EACCES|EPERM/);
  createSpool(directory, log);
  expect(readdirSync(directory)).toEqual([]);
});

test('an outcome that cannot be read now is left for the next time', async () => {
  mkdirSync(join(directory, '1-1.outcome.json'));
  expect(await createSpool(directory, log).findLeft()).toEqual([]);
  expect(readdirSync(directory)).toEqual(['1-1.outcome.json']);
});
