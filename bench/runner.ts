import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { createRunnerPool } from '../src/worker/runnerPool.ts';
import { runLoops } from './bareLoops.ts';
import { alternate, type Scenario } from './scenario.ts';

/* What a runner costs on top of bare execa, without a database. Options: --starts 1000 --concurrency 8 --runners 1 */
export const runner: Scenario = {
  about: 'starts a second by a runner alone, driven over its channel, against a bare loop',
  async measure(options) {
    const commands = options.number('starts', 1000, 200);
    const concurrency = options.number('concurrency', 8);
    const processes = options.number('runners', 1);
    const found = await alternate(options, {
      bare: async () => (await runLoops({ how: 'execa', processes, commands, concurrency })).rate,
      runner: () => runRunners({ runners: processes, commands, concurrency }),
    });
    const baseline = { what: `execa, ${processes} process(es)`, value: found.bare };
    return [{ what: `${processes} runner(s) alone`, unit: 'starts/s', value: found.runner, baseline }];
  },
};

async function runRunners({ runners, commands, concurrency }: Record<'runners' | 'commands' | 'concurrency', number>) {
  const pool = createRunnerPool(runners, pino({ level: 'error' }));
  await pool.ready();
  const env = { PATH: process.env['PATH'] ?? '' };
  let runId = 0;
  const start = async () => {
    const request = { runId: ++runId, command: 'echo hi', env, cwd: tmpdir(), outputBytesMax: 1_048_576 };
    const { stdout, errorMessage } = await pool.execute(request, () => {});
    if (stdout !== 'hi\n') throw new Error(`a run failed: ${errorMessage}`);
  };
  const work = async () => {
    while (runId < commands) await start();
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  runId = 0;
  const beganMs = performance.now();
  await Promise.all(Array.from({ length: concurrency }, work));
  const rate = runId / ((performance.now() - beganMs) / 1000);
  await pool.close();
  return rate;
}
