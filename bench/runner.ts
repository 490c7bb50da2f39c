import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { createJobCgroups, type JobCgroups } from '../src/worker/jobCgroups.ts';
import { createRunnerPool } from '../src/worker/runnerPool.ts';
import { runLoops } from './bareLoops.ts';
import { alternate, type Scenario } from './scenario.ts';

const log = pino({ level: 'error' });

/* What a runner costs on top of a bare loop of starts by execa, without a database. */
export const runner: Scenario = {
  about: 'starts a second by a runner alone, driven over its channel, against a bare loop; with cgroups and without',
  minutes: 3,
  options: { starts: { value: 1000, quick: 200 }, concurrency: { value: 8 }, runners: { value: 1 } },
  isWithoutServers: true,
  async measure(options) {
    const commands = options.number('starts');
    const concurrency = options.number('concurrency');
    const processes = options.number('runners');
    const cgroups = await createJobCgroups('auto', log);
    const sizes = { runners: processes, commands, concurrency };
    const found = await alternate(options, 'starts/s', {
      bare: async () => (await runLoops({ how: 'execa', processes, commands, concurrency })).rate,
      runner: () => runRunners(sizes, null),
      cgroups: () => runRunners(sizes, cgroups),
    });
    const baseline = { what: `execa, ${processes} process(es)`, value: found.bare };
    const figure = { what: `${processes} runner(s) alone`, unit: 'starts/s', value: found.runner };
    const without = { what: 'without', value: found.runner };
    const what = cgroups ? 'with a cgroup for each run' : 'with a cgroup for each run: none to be had';
    return [
      { ...figure, baseline },
      { ...figure, what, value: found.cgroups, baseline: without },
    ];
  },
};

type Sizes = Record<'runners' | 'commands' | 'concurrency', number>;

async function runRunners({ runners, commands, concurrency }: Sizes, cgroups: JobCgroups | null) {
  const pool = createRunnerPool(runners, log, { cgroups });
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
