import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startApi } from '../test/support/api.ts';
import { startProcess, until } from '../test/support/processes.ts';
import { numberOption, printHead, printLine, remove, withEnvironment } from './support.ts';

/*
 * How late commands start: `node bench/lag.ts [--minutes 5] [--runs 200] [--mariadb]`.
 * One API and one worker with their default settings, over throw-away servers on the same machine. Starts are the
 * recorded ones; for run_now, the time at which the command itself writes the clock to a file (which includes bash and
 * date), against the moment before the HTTP request.
 */
const minutes = numberOption('minutes', 5);
const runs = numberOption('runs', 200);

await withEnvironment(async (env) => {
  const worker = startProcess('worker', env.env);
  await worker.line((line) => line['msg'] === 'The worker is ready');
  const api = await startApi(env);
  const admin = await api.signIn('admin');
  const create = async (name: string, cron: string, command: string): Promise<number> =>
    (await admin('POST', '/job_api', { name, cron, command })).body.object.id;

  const minutely = await create('each minute', '* * * * *', 'true');
  const everyTwo = await create('every two seconds', '*/2 * * * * *', 'true');
  console.log(`Waiting ${minutes} minutes for a job each minute and one every two seconds …`);
  await delay(minutes * 60_000 + 5000);
  for (const id of [minutely, everyTwo]) await admin('PUT', `/job_api/${id}`, { enabled: false });
  await delay(500);

  const lags = async (id: number) => {
    const rows = await env.query<{ ms: number }>(
      'SELECT TIMESTAMPDIFF(MICROSECOND, scheduled_for, started_at) / 1000 AS ms FROM job_runs WHERE job_id = ?',
      [id],
    );
    return rows.map((row) => Number(row.ms));
  };
  const [beat] = await env.query(
    `SELECT COUNT(*) AS runs, COUNT(DISTINCT scheduled_for) AS seconds,
            TIMESTAMPDIFF(SECOND, MIN(scheduled_for), MAX(scheduled_for)) / 2 + 1 AS expected
     FROM job_runs WHERE job_id = ?`,
    [everyTwo],
  );
  const [misfires] = await env.query('SELECT COALESCE(SUM(occurrence_count), 0) AS n FROM misfires');

  printHead();
  printLine('start after the occurrence, one job each minute', await lags(minutely));
  printLine('start after the occurrence, every two seconds', await lags(everyTwo));
  printLine('run_now: request to process start', await measureRunNow());
  console.log(
    `\nevery two seconds: ${beat?.['runs']} runs of ${Number(beat?.['expected'])} occurrences, ` +
      `${Number(beat?.['runs']) - Number(beat?.['seconds'])} doubled; misfires in all: ${misfires?.['n']}`,
  );
  await Promise.all([api.process.end('SIGTERM'), worker.end('SIGTERM')]);

  async function measureRunNow(): Promise<number[]> {
    const folder = mkdtempSync(join(tmpdir(), 'bjr-bench-'));
    const file = join(folder, 'started');
    const id = await create('by hand', '0 0 1 1 *', `date +%s%N > ${file}`);
    const found: number[] = [];
    for (let run = 0; run < runs; run++) {
      writeFileSync(file, '');
      const askedAt = Date.now();
      await admin('POST', `/job_api/${id}/run_now`);
      await until(() => readFileSync(file, 'utf8').endsWith('\n'), 'the command to start');
      found.push(Number(readFileSync(file, 'utf8')) / 1e6 - askedAt);
      await until(
        async () => (await env.query("SELECT id FROM jobs WHERE id = ? AND state <> 'leased'", [id])).length === 1,
        'its end',
      );
    }
    remove(folder);
    return found;
  }
});
