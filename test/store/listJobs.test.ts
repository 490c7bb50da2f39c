import { expect, test } from 'vitest';
import type { Term } from '../../src/domain/search/term.ts';
import { listJobs } from '../../src/store/jobs.ts';
import { createEnvironment } from '../support/environment.ts';
import { addUser } from '../support/jobs.ts';

test('pages of a long list are parts of one order, from whichever end they are read', async () => {
  const env = await createEnvironment();
  const count = 2503;
  const rows = Array.from({ length: count }, (_, n) => {
    const nextRun = n % 50 === 0 ? null : new Date(Date.UTC(2027, 0, 1) + (n % 97) * 60_000);
    return [1, `job ${n}`, `job ${n}`, 'true', '0 0 1 1 *', 'UTC', n % 3 > 0, nextRun];
  });
  await env.query('INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, enabled, next_run) VALUES ?', [
    rows,
  ]);
  await addUser(env, { id: 1, jobCount: count });
  const owner = { userId: 1, jobCount: count, jobsRevision: 0 };
  const ordered = await env.query<{ id: number; enabled: number }>(
    'SELECT id, enabled FROM jobs ORDER BY next_run, id',
  );
  const enabled: Term = { kind: 'enabled', negated: false };
  for (const terms of [[], [enabled]]) {
    const ids = ordered.filter((job) => terms.length === 0 || job.enabled === 1).map(({ id }) => id);
    const last = ids.length;
    for (const offset of [0, 999, 1000, 1240, 1255, 1600, last - 30, last - 25, last - 3, last - 1, last, last + 7]) {
      const page = await listJobs(env.db, { owner, terms, limit: 25, offset });
      expect({ offset, total: page.total, ids: page.jobs.map(({ id }) => id) }).toEqual({
        offset,
        total: last,
        ids: ids.slice(offset, offset + 25),
      });
    }
  }
  await env.close();
});
