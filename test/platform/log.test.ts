import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { explainError } from '../../src/platform/explainError.ts';
import { jobs } from '../../src/store/schema.ts';
import { createEnvironment } from '../support/environment.ts';

const PLANTED = 'a-planted-secret';

test('a database error is logged without the values of its statement', async () => {
  const env = await createEnvironment();
  const row = { userId: 1, name: PLANTED, nameKey: PLANTED, command: PLANTED, cron: PLANTED, timezone: 'UTC' };
  await env.db.insert(jobs).values({ ...row, nameKey: 'n' });
  const error = await env.db
    .insert(jobs)
    .values({ ...row, nameKey: 'n' })
    .catch((reason: unknown) => reason);
  await env.close();
  expect(error).toBeInstanceOf(Error);
  const text = JSON.stringify(explainError(error));
  expect(text).toContain('ER_DUP_ENTRY');
  expect(text).not.toContain(PLANTED);
});

test('fields that could hold a secret are not written, at any level of an entry', () => {
  const script = `
    import { createLog } from './src/platform/log.ts';
    const log = createLog({ level: 'info', format: 'json' });
    log.info({ password: '${PLANTED}', user: { token: '${PLANTED}' }, run: { command: '${PLANTED}', stdout: '${PLANTED}' } }, 'x');
    log.child({ secret: '${PLANTED}' }).info('y');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toHaveLength(2);
  expect(stdout).not.toContain(PLANTED);
});

test('lines for people are text, on one line each', () => {
  const script = `
    import { createLog } from './src/platform/log.ts';
    createLog({ level: 'info', format: 'pretty' }).info({ jobId: 7 }, 'It runs');`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  expect(stdout).toMatch(/^\[[\d:.]+\] INFO: It runs \{"jobId":7\}\n$/);
});
