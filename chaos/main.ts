import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { DatabaseKind } from '../src/embedded/database.ts';
import { VERSION } from '../src/platform/version.ts';
import { type Audit, audit, type Violation } from './audit.ts';
import { type Cluster, LEASE_MS, startCluster } from './cluster.ts';
import { findLivingRuns } from './evidence.ts';
import { createFaults, type Fault, provideClockLibrary } from './faults.ts';
import { addSoakJobs } from './jobs.ts';
import { createRandom, type Random } from './random.ts';
import { runScenarios } from './scenarios.ts';
import { runStorm } from './storm.ts';
import { ELSEWHERE, printTable, type Row } from './table.ts';

const HELP = `npm run chaos: breaks a cluster of its own in every way that docs/reliability.md lists, and audits what is left.

  npm run chaos -- --minutes 3           how long it takes, all in all (3); from 6 on each fault is made at least once
  npm run chaos -- --seed 42             the order of the faults (by the clock); printed, so that a run can be repeated
  npm run chaos -- --database mariadb    mysql (default) or mariadb
  npm run chaos -- --only frozen         only faults and scenarios whose name holds this

The exit code is 0 if every row passed.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string' },
    database: { type: 'string', default: 'mysql' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h' },
  },
});

/** For what comes after the last fault: everything runs once more, is stopped and audited. */
const END_MS = 20_000;
/** Between two faults: what one broke is whole again before the next, so that its violations are its own. */
const RECOVERY_MS = LEASE_MS;

async function main(): Promise<number> {
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const kind = values.database as DatabaseKind;
  if (!['mysql', 'mariadb'].includes(kind)) throw new Error('--database takes mysql or mariadb');
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
  if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error('--minutes and --seed take numbers');
  console.log(`BJR ${VERSION} on ${kind}, ${minutes} minutes, seed ${seed}`);
  const endsAtMs = Date.now() + minutes * 60_000 - END_MS;
  const cluster = await startCluster(kind, (line) => console.log(line));
  // Evidence outlives the cluster's own folder for as long as it is read.
  const folder = join(tmpdir(), `bjr-evidence-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'log'), '');
  try {
    const rows = await run(cluster, { folder, minutes, endsAtMs, random: createRandom(seed) });
    printTable(rows, `${kind}, seed ${seed}, ${minutes} minutes`);
    return rows.some(({ hasPassed }) => hasPassed === false) ? 1 : 0;
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Setup {
  folder: string;
  minutes: number;
  /** Of the faults. */
  endsAtMs: number;
  random: Random;
}

async function run(cluster: Cluster, { folder, minutes, endsAtMs, random }: Setup): Promise<Row[]> {
  const isWanted = ({ name }: { name: string }) => name.includes(values.only);
  const clockLibrary = provideClockLibrary();
  if (!clockLibrary) console.log('libfaketime cannot be had here: no wrong clocks in this run');
  const faults = createFaults(clockLibrary).filter(isWanted);
  await cluster.startApi();
  const stormRows = await runStorm(cluster, { minutes, isWanted });
  await Promise.all(['a', 'b', 'c'].map((name) => cluster.startWorker(name)));
  const scenarioRows = [...stormRows, ...(await runScenarios(cluster, { folder, isWanted }))];

  const since = new Date();
  const jobIds = await addSoakJobs(cluster, folder, since);
  const watch = watchProcesses(cluster, folder);
  const injected = faults.length > 0 ? await injectAll(cluster, { faults, random, endsAtMs }) : [];
  const stuck = await findStuck(cluster, jobIds);
  const outlived = await watch.stop();
  await Promise.all(cluster.workers.map((worker) => worker.process.end('SIGTERM')));
  const result = await audit(cluster, folder, jobIds, since);
  const violations = [...result.violations, ...stuck, ...outlived];
  report(result, violations);
  const rest = injected.length > 0 ? [restRow(injected, violations)] : [];
  return [...scenarioRows, ...faultRows(faults, injected, violations), ...rest, ...(values.only ? [] : ELSEWHERE)];
}

interface Injected {
  fault: Fault;
  fromMs: number;
  error: string | null;
}

/** Each fault once, in an order that the seed gives, then at random, until the time is over. */
async function injectAll(
  cluster: Cluster,
  { faults, random, endsAtMs }: { faults: Fault[]; random: Random; endsAtMs: number },
): Promise<Injected[]> {
  const injected: Injected[] = [];
  const waiting = faults.toSorted(() => random.next() - 0.5);
  await delay(RECOVERY_MS);
  // A short run takes some of them, and says so.
  for (let count = 0; count === 0 || Date.now() < endsAtMs; count++) {
    const next = waiting.pop() ?? random.pick(faults);
    const left = Math.max(0, Math.round((endsAtMs - Date.now()) / 1000));
    console.log(`${new Date().toISOString().slice(11, 19)}  ${next.name}  (${left} s to go)`);
    const fromMs = Date.now();
    const error = await next.inject(cluster, random).then(
      () => null,
      (reason: unknown) => String(reason),
    );
    injected.push({ fault: next, fromMs, error });
    await delay(RECOVERY_MS);
  }
  return injected;
}

/** A process that lives although its run had ended before it was looked at. */
function watchProcesses(cluster: Cluster, folder: string) {
  const violations: Violation[] = [];
  let isOver = false;
  const loop = async () => {
    while (!isOver) {
      await delay(250);
      const atMs = Date.now();
      const living = [...findLivingRuns(folder)];
      if (living.length === 0) continue;
      const ended = await cluster.query<{ id: number; outcome: string }>(
        `SELECT id, outcome FROM job_runs WHERE id IN (?) AND outcome IS NOT NULL AND updated_at < ?`,
        [living, new Date(atMs)],
      );
      for (const { id, outcome } of ended) {
        violations.push({
          invariant: 'no process outlives its run',
          detail: `run ${id} (${outcome}) has a process`,
          atMs,
        });
      }
    }
  };
  const done = loop();
  return {
    async stop() {
      isOver = true;
      await done;
      return violations;
    },
  };
}

/** With everything whole again each job runs, and no lease is older than itself. */
async function findStuck(cluster: Cluster, jobIds: number[]): Promise<Violation[]> {
  const fromMs = Date.now();
  let waiting: { id: number; state: string }[] = [];
  for (const deadlineMs = fromMs + 10 * LEASE_MS; Date.now() < deadlineMs; ) {
    waiting = await cluster.query(
      `SELECT id, state FROM jobs WHERE id IN (?)
       AND NOT EXISTS (SELECT 1 FROM job_runs r WHERE r.job_id = jobs.id AND r.outcome IS NOT NULL AND r.created_at > ?)`,
      [jobIds, new Date(fromMs)],
    );
    if (waiting.length === 0) return [];
    await delay(500);
  }
  return waiting.map(({ id, state }) => ({
    invariant: 'nothing is stuck',
    detail: `job ${id} (${state}) has not run since everything was whole`,
    atMs: fromMs,
  }));
}

function faultRows(faults: Fault[], injected: Injected[], violations: Violation[]): Row[] {
  return faults.map((fault) => {
    const times = injected.filter((one) => one.fault === fault);
    const own = violations.filter((violation) => causeOf(violation, injected)?.fault === fault);
    const errors = times.flatMap(({ error }) => error ?? []);
    return {
      rows: fault.rows,
      name: fault.name,
      counted:
        times.length === 0
          ? 'not in this run'
          : `${times.length} ×, ${own.length} violations${errors.map((error) => `; not injected: ${error}`).join('')}`,
      hasPassed: times.length > 0 ? own.length === 0 && errors.length === 0 : null,
    };
  });
}

function restRow(injected: Injected[], violations: Violation[]): Row {
  const own = violations.filter((violation) => !causeOf(violation, injected));
  return { rows: '', name: 'before the first fault', counted: `${own.length} violations`, hasPassed: own.length === 0 };
}

/** The fault that came last before it. */
function causeOf(violation: Violation, injected: Injected[]): Injected | undefined {
  return injected.findLast(({ fromMs }) => fromMs <= violation.atMs + 1000);
}

function report({ counts }: Audit, violations: Violation[]): void {
  const misfires = Object.entries(counts.misfires).map(([reason, count]) => `${count} ${reason}`);
  console.log(
    `\n${counts.occurrences} occurrences: ${counts.runs} runs (${counts.lost} lost), misfires: ${misfires.join(', ') || 'none'}; ${counts.commands} commands started`,
  );
  for (const { invariant, detail, atMs } of violations.slice(0, 40)) {
    console.log(`VIOLATED  ${new Date(atMs).toISOString().slice(11, 23)}  ${invariant}: ${detail}`);
  }
}

process.exitCode = await main();
