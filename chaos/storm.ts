import { loadConfig } from '../src/platform/config.ts';
import type { Event } from '../src/platform/events.ts';
import { claimRuns } from '../src/store/claimRuns.ts';
import { createDatabase, type Database, errorCode } from '../src/store/database.ts';
import { markDue } from '../src/store/markDue.ts';
import { pruneRuns } from '../src/store/pruneRuns.ts';
import { recordOutcome } from '../src/store/recordOutcome.ts';
import { renewLeases } from '../src/store/renewLeases.ts';
import { succeeded } from '../test/support/outcomes.ts';
import type { Cluster } from './cluster.ts';
import type { Row } from './table.ts';

const LEADERS = 5;
const CLAIMERS = 40;
const JOBS = 400;

/**
 * Everything that writes, at once and without a pause or a process: five leaders without election, forty claimers that
 * claim, renew and record, retention, and users who edit, for a tenth of the time.
 */
export async function runStorm(
  cluster: Cluster,
  { minutes, isWanted }: { minutes: number; isWanted(row: { name: string }): boolean },
): Promise<Row[]> {
  const name = 'a storm: 5 leaders, 40 claimers, retention and edits at once, no election';
  if (!isWanted({ name })) return [];
  const seconds = Math.max(15, minutes * 6);
  console.log(`${name}, for ${seconds} s …`);
  const retried: Record<string, number> = {};
  const count = (event: Event) => {
    if (event.type === 'transaction_retried') retried[event.code] = (retried[event.code] ?? 0) + 1;
  };
  const config = loadConfig({ ...cluster.env, BJR_DATABASE_POOL: '60' });
  const db = createDatabase(config.database, count);
  const first = new Date(Math.floor(Date.now() / 1000) * 1000);
  for (let n = 0; n < JOBS; n++) {
    await cluster.query(
      `INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, misfire_policy, catch_up_max, keep_runs, next_run, state)
       VALUES (1, ?, ?, 'true', '* * * * * *', 'UTC', 'catch_up', 1000, 20, ?, 'idle')`,
      [`storm ${n}`, `storm ${n}`, first],
    );
  }
  const errors: string[] = [];
  const endsAtMs = Date.now() + seconds * 1000;
  const repeat = async (work: () => Promise<unknown>) => {
    while (Date.now() < endsAtMs)
      await work().catch((error: unknown) => errors.push(`${errorCode(error)} ${String(error).slice(0, 200)}`));
  };
  let afterJobId = 0;
  await Promise.all([
    ...Array.from({ length: LEADERS }, () => repeat(() => markDue(db))),
    ...Array.from({ length: CLAIMERS }, (_, index) => repeat(() => claimAndRecord(db, `claimer-${index}`))),
    repeat(async () => {
      ({ afterJobId } = await pruneRuns(db, { afterJobId, startedBefore: new Date(Date.now() + 60_000) }));
    }),
    ...Array.from({ length: 3 }, () =>
      repeat(() =>
        cluster.query(
          "UPDATE jobs SET description = ?, revision = revision + 1 WHERE name LIKE 'storm %' AND id % 50 = ?",
          [String(Math.random()), Math.floor(Math.random() * 50)],
        ),
      ),
    ),
  ]);
  const [row] = await cluster.query<{ runs: number; doubled: number }>(
    `SELECT MAX(id) AS runs, COUNT(*) - COUNT(DISTINCT job_id, scheduled_for, attempt) AS doubled FROM job_runs`,
  );
  await db.close();
  await cluster.query('DELETE FROM job_runs');
  await cluster.query('DELETE FROM misfires');
  await cluster.query("DELETE FROM jobs WHERE name LIKE 'storm %'");
  for (const error of new Set(errors)) console.log(`  an error reached a caller: ${error}`);
  const codes = Object.entries(retried).map(([code, times]) => `${times} ${code}`);
  return [
    {
      rows: 'F1 F2 F15',
      name,
      counted: `${row?.runs} runs, ${row?.doubled} doubled, retried: ${codes.join(', ') || 'none'}; ${errors.length} errors`,
      hasPassed: errors.length === 0 && Number(row?.doubled) === 0 && Number(row?.runs) > JOBS,
    },
  ];
}

async function claimAndRecord(db: Database, workerId: string): Promise<void> {
  const { runs } = await claimRuns(db, { workerId, limit: 10, leaseMs: 30_000, misfireGraceMs: 15_000 });
  await renewLeases(db, { workerId, leaseMs: 30_000, leases: runs });
  for (const run of runs) {
    const { result } = await recordOutcome(db, succeeded(run, new Date()));
    if (result !== 'recorded') throw new Error(`Run ${run.runId}: its lease was lost, and nobody can have taken it`);
  }
}
