import { type LoopsFound, runLoops } from './bareLoops.ts';
import { DRAIN_OPTIONS, drainSize, processorFigure, startDrained } from './drain.ts';
import { withServers } from './environment.ts';
import { alternateAll, type Scenario } from './scenario.ts';

/* The drain again by a worker that has been up for 20,000 runs. */
export const drainAged: Scenario = {
  about: 'the drain by two runners once the worker has made 20,000 runs',
  minutes: 6,
  options: { ...DRAIN_OPTIONS, runs: { value: 20_000, quick: 400 } },
  measure: (options) =>
    withServers(options, async (servers) => {
      const size = drainSize(options);
      const runs = options.number('runs');
      const work = {
        'execa, 2 processes': () => runLoops({ how: 'execa', processes: 2, commands: size.jobs, ...size }),
        'two runners': await startDrained(servers, { runners: 2, ...size }),
      };
      const young = await alternateAll<keyof typeof work, LoopsFound>(options, work);
      options.say(`until ${runs} runs …`);
      for (let done = (options.rounds + 1) * size.jobs; done < runs; done += size.jobs) await work['two runners']();
      const aged = await alternateAll<keyof typeof work, LoopsFound>(options, work);
      const ratio = (found: typeof aged) => found['two runners'].rate / found['execa, 2 processes'].rate;
      return [
        {
          what: `drain, two runners, after ${runs} runs`,
          unit: 'runs/s',
          value: aged['two runners'].rate,
          baseline: { what: 'execa, 2 processes', value: aged['execa, 2 processes'].rate },
          goal: { atLeast: 0.8 },
        },
        {
          what: 'its ratio, aged against young',
          unit: '× bare',
          value: ratio(aged),
          baseline: { what: 'young', value: ratio(young) },
          goal: { atLeast: 0.95 },
        },
        processorFigure('two runners', aged),
      ];
    }),
};
