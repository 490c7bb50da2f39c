import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { foldName } from '../../src/domain/name.ts';
import { scheduleOf } from '../../src/domain/schedule.ts';
import type { Term } from '../../src/domain/search/term.ts';
import { canonicalZone } from '../../src/domain/timezone.ts';
import { listJobs } from '../../src/store/jobs.ts';
import { setTags } from '../../src/store/tags.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob, addUser } from '../support/jobs.ts';

let env: TestEnvironment;
const owner = { userId: 1, jobCount: 120, jobsRevision: 0 };
let all: Awaited<ReturnType<typeof listJobs>>['jobs'];

const NAMES = ['backup', 'nightly BACKUP', '100%', 'a_b', 'a|b', 'a\\b', "it's", 'Ünïcode'];
const TAGS = [[], ['a'], ['B'], ['a', 'b'], ['a', 'b', 'c'], ['two words', 'a']];
const ZONES = ['UTC', 'America/New_York', 'Eastern Time (US & Canada)', 'US/Eastern', 'Europe/Berlin'];
const CRONS = ['0 0 1 1 *', '*/5 * * * *', '0 12 * * MON', '30 2 29 2 *', '0 0 * * *'];
const pick = <T>(list: T[], index: number): T => list[index % list.length] as T;

beforeAll(async () => {
  env = await createEnvironment();
  await addUser(env, { id: 1, jobCount: 120 });
  for (let n = 0; n < 120; n++) {
    const id = await addJob(env, {
      name: `${pick(NAMES, n)} ${n}`,
      command: pick(['true', 'echo 50%', 'rm_it'], n),
      cron: pick(CRONS, Math.floor(n / 3)),
      timezone: pick(ZONES, n),
      enabled: n % 3 > 0,
      state: pick(['idle', 'leased', 'due'] as const, Math.floor(n / 2)),
      success: pick([null, true, false], Math.floor(n / 5)),
      startsAt: n % 10 === 0 ? new Date('2026-06-01') : null,
      endsAt: n % 15 === 0 ? new Date('2026-08-01') : null,
      nextRun: n % 17 === 0 ? null : new Date(Date.UTC(2027, 0, 1 + (n % 9))),
    });
    await setTags(env.db, { id, userId: 1 }, pick(TAGS, n));
  }
  await addJob(env, { userId: 2, name: 'somebody else’s backup' });
  ({ jobs: all } = await listJobs(env.db, { owner, terms: [], limit: 1000, offset: 0 }));
});
afterAll(() => env.close());

/** What a term means, said plainly. */
function holds(term: Term, job: (typeof all)[number]): boolean {
  const isMatch = matches(term, job);
  return term.negated ? !isMatch : isMatch;
}
function matches(term: Term, job: (typeof all)[number]): boolean {
  const has = (name: string) => job.tags.some((tag) => foldName(tag) === foldName(name));
  switch (term.kind) {
    case 'name':
      return foldName(job.name).includes(foldName(term.text));
    case 'command':
      return job.command.toLowerCase().includes(foldName(term.text));
    case 'timezone':
      return canonicalZone(job.timezone) === term.zone;
    case 'tags':
      if (term.match === 'none') return !term.names.some(has);
      if (term.match === 'any') return term.names.some(has);
      return term.names.every(has) && job.tags.length === new Set(term.names.map(foldName)).size;
    case 'running':
      return job.state === 'leased';
    case 'stopped':
      return job.state !== 'leased';
    case 'enabled':
      return job.enabled;
    case 'disabled':
      return !job.enabled;
    case 'succeeded':
      return job.success === true;
    case 'failed':
      return job.success === false;
    case 'between': {
      const first = scheduleOf(job).next(new Date(term.from.getTime() - 1000));
      return first !== null && first >= term.from && first <= term.until;
    }
  }
}

const text = fc.constantFrom('backup', 'BACK', '%', '_', '|', '\\', "'", "' OR 1=1 --", 'ünïcode', '0', 'echo', 'x');
const day = fc.integer({ min: 0, max: 900 }).map((days) => new Date(Date.UTC(2026, 0, 1 + days)));
const condition = fc.oneof(
  fc.record({ kind: fc.constantFrom('name' as const, 'command' as const), text }),
  fc.record({ kind: fc.constant('timezone' as const), zone: fc.constantFrom('UTC', 'America/New_York', 'Asia/Tokyo') }),
  fc.record({
    kind: fc.constant('tags' as const),
    match: fc.constantFrom('any' as const, 'exactly' as const, 'none' as const),
    names: fc.array(fc.constantFrom('a', 'A', 'b', 'c', 'two words', "x' OR '1'='1"), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constantFrom('running', 'stopped', 'enabled', 'disabled', 'succeeded', 'failed') }),
  fc
    .tuple(day, day)
    .map((days) => days.toSorted((a, b) => Number(a) - Number(b)))
    .map(([from, until]) => ({ kind: 'between' as const, from, until })),
) as fc.Arbitrary<Term>;
const term = fc.tuple(condition, fc.boolean()).map(([found, negated]) => ({ ...found, negated }));

test('finds what the terms say, in the order of lists, and counts it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(term, { maxLength: 3 }), async (terms) => {
      const expected = all.filter((job) => terms.every((one) => holds(one, job))).map(({ id }) => id);
      const found = await listJobs(env.db, { owner, terms, limit: 1000, offset: 0 });
      expect([found.jobs.map(({ id }) => id), found.total]).toEqual([expected, expected.length]);
      const page = await listJobs(env.db, { owner, terms, limit: 5, offset: 5 });
      expect([page.jobs.map(({ id }) => id), page.total]).toEqual([expected.slice(5, 10), expected.length]);
    }),
    { numRuns: 300 },
  );
});
