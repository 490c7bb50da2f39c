import { setTimeout as delay } from 'node:timers/promises';
import { addJob } from '../test/support/jobs.ts';
import { withServers } from './environment.ts';
import type { Figure, Scenario } from './scenario.ts';

/*
 * One run an occurrence, by a fleet: three workers with two runners each; election is off for two of them, so that two or
 * three lead at a time.
 */
export const fleet: Scenario = {
  about: 'one run an occurrence, by three workers of which two lead by force',
  minutes: 4,
  options: { minutes: { value: 3, quick: 1 }, jobs: { value: 300, quick: 50 } },
  measure: (options) =>
    withServers(options, async (servers) => {
      const minutes = options.number('minutes');
      const jobs = options.number('jobs');
      const env = await servers.createDatabase();
      const first = Math.ceil((Date.now() + 10_000) / 60_000) * 60_000;
      for (let n = 0; n < jobs; n++) await addJob(env, { state: 'idle', nextRun: new Date(first), command: 'echo hi' });
      const workers = await Promise.all(
        ['off', 'off', 'on'].map((election) =>
          servers.start(env, 'worker', { RUNNERS: '2', LEADER_ELECTION: election }),
        ),
      );
      options.say(`${jobs} jobs due each minute, for ${minutes} minutes from ${new Date(first).toISOString()} …`);
      // Before the leaders' next mark, halfway between two minutes.
      await delay(first + (minutes - 1) * 60_000 + 20_000 - Date.now());
      await env.query("UPDATE jobs SET enabled = 0, state = IF(state = 'due', 'idle', state)");
      await Promise.all(workers.map((worker) => worker.stop()));

      const [row = {}] = await env.query(
        `SELECT COUNT(*) AS runs, COUNT(DISTINCT job_id, scheduled_for) AS occurrences,
                SUM(outcome <=> 'succeeded') AS succeeded, COUNT(DISTINCT worker_id) AS workers,
                MAX(TIMESTAMPDIFF(MICROSECOND, scheduled_for, started_at)) / 1000 AS lag_ms
         FROM job_runs`,
      );
      const [misfires = {}] = await env.query('SELECT COALESCE(SUM(occurrence_count), 0) AS count FROM misfires');
      const expected = minutes * jobs;
      const exact = (what: string, value: unknown): Figure => ({
        what,
        unit: 'runs',
        value: Number(value),
        baseline: { what: 'expected', value: expected },
        goal: Number(value) > expected ? { atMost: 1 } : { atLeast: 1 },
      });
      return [
        exact('fleet, runs', row['runs']),
        exact('fleet, different occurrences', row['occurrences']),
        exact('fleet, succeeded', row['succeeded']),
        { what: 'fleet, misfires', unit: '', value: Number(misfires['count']), goal: { atMost: 0 } },
        { what: 'fleet, workers with runs', unit: '', value: Number(row['workers']), goal: { atLeast: 3 } },
        { what: 'fleet, greatest lag', unit: 'ms', value: Number(row['lag_ms']) },
      ];
    }),
};
