import { describe, expect, test } from 'vitest';
import { createEnvironment } from '../support/environment.ts';
import { findSchemathesis, fuzz } from '../support/schemathesis.ts';

const program = findSchemathesis();
if (!program && process.env['CI'] === 'true') throw new Error('CI needs python3 with venv, and schemathesis by pip');

/** The same requests each time; `npm run fuzz` makes new ones, and more of them. */
const ARGS = ['--generation-deterministic', '--phases', 'examples,coverage,fuzzing', '--max-examples', '3'];

describe.skipIf(!program)('schemathesis over the whole description', () => {
  test.each(['admin', 'root'])('as %s: no 5xx, and no answer that is not described', async (username) => {
    const env = await createEnvironment();
    try {
      const { exitCode, report } = await fuzz(env, { username, args: ARGS, program: program ?? '' });
      expect({ exitCode, report: exitCode === 0 ? '' : report }).toEqual({ exitCode: 0, report: '' });
      expect(report).toMatch(/Tested: (\d+)/);
      const [, selected, all] = /Selected: (\d+)\/(\d+)/.exec(report) ?? [];
      expect([selected, Number(all) > 40]).toEqual([all, true]);
    } finally {
      await env.close();
    }
  });
});
