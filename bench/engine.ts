import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadConfig } from '../src/platform/config.ts';
import { claimRuns } from '../src/store/claimRuns.ts';
import { createDatabase } from '../src/store/database.ts';
import { record } from '../src/worker/record.ts';
import { createRecordInGroups } from '../src/worker/recordGroup.ts';
import { createSpool } from '../src/worker/spool.ts';
import type { TestEnvironment } from '../test/support/environment.ts';
import { succeeded } from '../test/support/outcomes.ts';
import { type Claimer, createBareClaimer } from './engineBare.ts';
import { withServers } from './environment.ts';
import { type Figure, median, type Scenario } from './scenario.ts';

/*
 * The engine's own cost: many jobs due at once, claimed and recorded by the worker's own code with nothing executed between,
 * against the least SQL that changes the same rows, in turns. All claimers share one process, as their database shares the
 * machine; each has a worker's pool and a worker's recording.
 */
export const engine: Scenario = {
  about: 'claim → record without a process: runs/s, CPU and statements a run, against bare SQL on the same rows',
  minutes: 6,
  options: {
    jobs: { value: 15_000, quick: 1000 },
    slots: { value: 50 },
    claimers: { value: 0, least: 0, about: '0: 1, 8 and 40' },
  },
  measure: (options) =>
    withServers(options, async (servers) => {
      const jobs = options.number('jobs');
      const slots = options.number('slots');
      const only = options.number('claimers');
      const env = await servers.createDatabase();
      await addJobs(env, jobs);
      const retried = { count: 0 };
      const folder = mkdtempSync(join(tmpdir(), 'bjr-engine-'));
      const engineOf = (n: number) =>
        createEngineClaimer(env, { slots, spoolDirectory: join(folder, String(n)), onRetry: () => retried.count++ });
      const bareOf = (n: number) => createBareClaimer(env, { slots, workerId: workerIdOf(n) });
      const counts = only > 0 ? [only] : [1, 8, 40];
      const found = new Map(counts.map((count) => [count, { own: [] as Pass[], bare: [] as Pass[] }]));
      // The first round warms up.
      for (let round = 0; round <= options.rounds; round++) {
        for (const [count, { own, bare }] of found) {
          const passes = [
            await drain(env, { count, jobs, claimerOf: engineOf }),
            await drain(env, { count, jobs, claimerOf: bareOf }),
          ];
          options.say(`round ${round}, ${count} claimers: engine ${passes.map(describe).join('; bare SQL ')}`);
          if (round > 0) own.push(...passes.slice(0, 1));
          if (round > 0) bare.push(...passes.slice(1));
        }
      }
      const eight = median(found.get(8)?.own.map(({ rate }) => rate) ?? []);
      const figures = [...found].flatMap(([count, { own, bare }]) => figuresOf(count, own, bare));
      const forty = found.get(40)?.own.map(({ rate }) => rate);
      return [
        ...figures,
        ...(eight && options.databaseKind === 'mysql'
          ? [{ what: '8 claimers, whatever the bare SQL makes', unit: 'runs/s', value: eight, goal: { atLeast: 8000 } }]
          : []),
        ...(forty && eight
          ? [{ what: '40 claimers against 8', unit: '×', value: median(forty) / eight, goal: { atLeast: 0.8 } }]
          : []),
        {
          what: 'transactions retried, a run',
          unit: '',
          value: retried.count / (jobs * counts.length * (options.rounds + 1)),
        },
      ];
    }),
};

const workerIdOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

async function addJobs({ query }: TestEnvironment, jobs: number): Promise<void> {
  for (let from = 0; from < jobs; from += 1000) {
    const rows = Array.from({ length: Math.min(1000, jobs - from) }, (_, n) => {
      const name = `engine ${from + n}`;
      return [2, name, name, 'echo hi', '0 0 1 1 *', 'UTC'];
    });
    await query('INSERT INTO jobs (user_id, name, name_key, command, cron, timezone) VALUES ?', [rows]);
  }
}

/** Runs a second; seconds of CPU and statements a run. */
interface Pass {
  rate: number;
  ownCpu: number;
  databaseCpu: number;
  statements: number;
}

const describe = ({ rate, ownCpu, databaseCpu, statements }: Pass) =>
  `${rate.toFixed(0)} runs/s, ${(ownCpu * 1e6).toFixed(0)} µs of Node and ${(databaseCpu * 1e6).toFixed(0)} µs of the database, ${statements.toFixed(2)} statements`;

function figuresOf(count: number, own: Pass[], bare: Pass[]): Figure[] {
  const figure = (what: string, unit: string, of: (pass: Pass) => number): Figure => ({
    what,
    unit,
    value: median(own.map(of)),
    baseline: { what: 'bare SQL', value: median(bare.map(of)) },
  });
  const name = `${count} claimer${count > 1 ? 's' : ''}`;
  return [
    figure(name, 'runs/s', ({ rate }) => rate),
    figure(`${name}: CPU of Node a run`, 'µs', ({ ownCpu }) => ownCpu * 1e6),
    figure(`${name}: CPU of the database a run`, 'µs', ({ databaseCpu }) => databaseCpu * 1e6),
    figure(`${name}: statements a run`, '', ({ statements }) => statements),
  ];
}

interface Drain {
  count: number;
  jobs: number;
  claimerOf(n: number): Claimer;
}

/** All jobs are due at once; until the last has been recorded. Milliseconds, as each drain needs an occurrence of its own. */
async function drain(env: TestEnvironment, { count, jobs, claimerOf }: Drain): Promise<Pass> {
  const isOurs = "name LIKE 'engine %'";
  await env.query(
    `UPDATE jobs CROSS JOIN (SELECT UTC_TIMESTAMP(3) - INTERVAL 1 SECOND AS at) AS due
     SET state = 'due', due_at = at, next_run = at WHERE ${isOurs}`,
  );
  const claimers = Array.from({ length: count }, (_, n) => claimerOf(n));
  const before = await usage(env);
  // Where one fails the others may wait for rows that its transaction holds, until its connection is closed.
  let after: typeof before;
  try {
    await Promise.all(claimers.map((claimer) => claimer.run()));
    after = await usage(env);
  } finally {
    await Promise.all(claimers.map((claimer) => claimer.close()));
  }
  const [left] = await env.query(`SELECT COUNT(*) AS n FROM jobs WHERE ${isOurs} AND state <> 'idle'`);
  if (Number(left?.['n']) > 0) throw new Error(`${left?.['n']} jobs were not recorded`);
  const each = (of: keyof typeof before) => (after[of] - before[of]) / jobs;
  return {
    rate: 1 / each('seconds'),
    ownCpu: each('ownCpu'),
    databaseCpu: each('databaseCpu'),
    statements: each('statements'),
  };
}

async function usage({ query }: TestEnvironment) {
  const [asked] = await query<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Questions'");
  const [data] = await query<{ path: string }>('SELECT @@global.datadir AS path');
  const { user, system } = process.cpuUsage();
  return {
    seconds: performance.now() / 1000,
    ownCpu: (user + system) / 1e6,
    databaseCpu: cpuOf(readFileSync(join(data?.path ?? '', '../database.pid'), 'utf8').trim()),
    statements: Number(asked?.Value),
  };
}

/** User and system time of a process in seconds: proc(5), in ticks of 10 ms. */
function cpuOf(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

let serial = 0;

function createEngineClaimer(
  env: TestEnvironment,
  { slots, spoolDirectory, onRetry }: { slots: number; spoolDirectory: string; onRetry(): void },
): Claimer {
  const log = pino({ level: 'error' });
  const db = createDatabase(loadConfig(env.env).database, ({ type }) => type === 'transaction_retried' && onRetry());
  const parts = {
    recordInGroups: createRecordInGroups({ db, log }),
    spool: createSpool(spoolDirectory, log),
    emit: () => {},
    log,
    deliverer: { start() {}, wake() {}, async stop() {} },
    retryMsMax: 7500,
    leaving: new AbortController().signal,
  };
  const options = { workerId: workerIdOf(serial++), limit: slots, leaseMs: 30_000, misfireGraceMs: 15_000 };
  return {
    async run() {
      for (;;) {
        const claim = await claimRuns(db, options);
        if (claim.examined === 0) return;
        const at = new Date(claim.databaseNowMs);
        await Promise.all(claim.runs.map((run) => record(succeeded(run, at), parts)));
      }
    },
    close: () => db.close(),
  };
}
