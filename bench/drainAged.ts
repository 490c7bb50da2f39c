import { runLoops } from './bareLoops.ts';
import { startDrained } from './drain.ts';
import { withServers } from './environment.ts';
import { alternate, type Scenario } from './scenario.ts';

/* The drain again by a worker that has been up for 20,000 runs. Options: --jobs 2000 --concurrency 8 --runs 20000 */
export const drainAged: Scenario = {
  about: 'the drain by two runners once the worker has made 20,000 runs',
  measure: (options) =>
    withServers(options, async (servers) => {
      const commands = options.number('jobs', 2000, 200);
      const concurrency = options.number('concurrency', 8);
      const runs = options.number('runs', 20_000, 400);
      const worker = await startDrained(servers, { runners: 2, jobs: commands, concurrency });
      const bare = () => runLoops({ how: 'execa', processes: 2, commands, concurrency });
      const young = await alternate(options, { execa2: bare, runners2: worker.drain });
      options.say(`until ${runs} runs …`);
      for (let done = (options.rounds + 1) * commands; done < runs; done += commands) await worker.drain();
      const aged = await alternate(options, { execa2: bare, runners2: worker.drain });
      const ratio = (found: typeof aged) => found.runners2 / found.execa2;
      return [
        {
          what: `drain, two runners, after ${runs} runs`,
          unit: 'runs/s',
          value: aged.runners2,
          baseline: { what: 'execa, 2 processes', value: aged.execa2 },
          goal: { atLeast: 0.8 },
        },
        {
          what: 'its ratio, aged against young',
          unit: '× bare',
          value: ratio(aged),
          baseline: { what: 'young', value: ratio(young) },
          goal: { atLeast: 0.97 },
        },
      ];
    }),
};
