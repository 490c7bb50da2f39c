import { setTimeout as delay } from 'node:timers/promises';
import { addJob } from '../test/support/jobs.ts';
import { startProcess } from '../test/support/processes.ts';
import { numberOption, withEnvironment } from './support.ts';

/*
 * One run an occurrence, by a fleet: `node bench/fleet.ts [--minutes 5] [--jobs 300] [--mariadb]`.
 * Three workers with two runners each; election is off for two of them, so that two or three lead at a time.
 */
const minutes = numberOption('minutes', 5);
const count = numberOption('jobs', 300);

await withEnvironment(async (env) => {
  const first = Math.ceil((Date.now() + 10_000) / 60_000) * 60_000;
  for (let n = 0; n < count; n++) await addJob(env, { state: 'idle', nextRun: new Date(first), command: 'echo hi' });
  const settings = { ...env.env, RUNNERS: '2' };
  const workers = [
    startProcess('worker', { ...settings, LEADER_ELECTION: 'off' }),
    startProcess('worker', { ...settings, LEADER_ELECTION: 'off' }),
    startProcess('worker', settings),
  ];
  console.log(`${count} jobs due each minute, for ${minutes} minutes from ${new Date(first).toISOString()} …`);
  await delay(first + (minutes - 1) * 60_000 + 30_000 - Date.now());
  await env.query("UPDATE jobs SET enabled = 0, state = IF(state = 'due', 'idle', state)");
  await Promise.all(workers.map((worker) => worker.end('SIGTERM')));

  const [row] = await env.query(
    `SELECT COUNT(*) AS runs, COUNT(DISTINCT job_id, scheduled_for) AS occurrences,
            SUM(outcome = 'succeeded') AS succeeded, SUM(outcome IS NULL) AS unrecorded, COUNT(DISTINCT worker_id) AS workers,
            MAX(TIMESTAMPDIFF(MICROSECOND, scheduled_for, started_at)) / 1000 AS greatest_lag_ms
     FROM job_runs`,
  );
  const [misfires] = await env.query('SELECT COALESCE(SUM(occurrence_count), 0) AS misfires FROM misfires');
  console.log(`expected ${count * minutes} runs:`, { ...row, ...misfires });
});
