import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../src/platform/config.ts';
import { seedFirstStart } from '../src/services/seed.ts';
import { createDatabase } from '../src/store/database.ts';
import { until } from '../test/support/processes.ts';
import type { Cluster } from './cluster.ts';
import { readEvidence, withEvidence } from './evidence.ts';
import type { Row } from './table.ts';

interface Setup {
  folder: string;
  isWanted(row: { name: string }): boolean;
}

interface Scenario {
  rows: string;
  name: string;
  run(cluster: Cluster, folder: string): Promise<Pick<Row, 'counted' | 'hasPassed'>>;
}

/** What is tried on purpose, with users at the API. */
const SCENARIOS: Scenario[] = [
  { rows: 'F10', name: 'one job: 50 requests to run it at once, five times, beside its schedule', run: askAtOnce },
  { rows: 'F25', name: 'a schedule is changed 100 times and more while it runs', run: editSchedule },
  { rows: 'F22', name: 'a herd: 300 jobs at one instant', run: herd },
];

export async function runScenarios(cluster: Cluster, { folder, isWanted }: Setup): Promise<Row[]> {
  const wanted = SCENARIOS.filter(isWanted);
  if (wanted.length === 0) return [];
  const db = createDatabase(loadConfig(cluster.env).database);
  await seedFirstStart(db, loadConfig(cluster.env).seed);
  await db.close();
  await cluster.query("UPDATE jobs SET enabled = FALSE, state = 'idle', due_at = NULL");
  const rows: Row[] = [];
  for (const { rows: faults, name, run } of wanted) {
    console.log(`${name} …`);
    rows.push({ rows: faults, name, ...(await run(cluster, folder)) });
  }
  return rows;
}

async function call(cluster: Cluster, method: string, path: string, body?: unknown) {
  token ??= await signIn(cluster);
  const response = await fetch(cluster.apiUrl + path, {
    method,
    headers: { authorization: token, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as { object: { id: number }; message: string };
  return { status: response.status, ...answer };
}

let token: string | undefined;

async function signIn(cluster: Cluster): Promise<string> {
  const response = await fetch(`${cluster.apiUrl}/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: 'password1234' }),
  });
  const { auth_token } = (await response.json()) as { auth_token: string };
  return auth_token;
}

async function createJob(cluster: Cluster, job: { name: string; cron: string; command: string }): Promise<number> {
  const created = await call(cluster, 'POST', '/job_api', { ...job, timezone: 'UTC', enabled: true });
  if (created.status !== 201) throw new Error(`The job was not created: ${created.message}`);
  return created.object.id;
}

const idle = (cluster: Cluster, id: number) =>
  until(async () => {
    const [job] = await cluster.query('SELECT state, trigger_kind AS kind FROM jobs WHERE id = ?', [id]);
    return job?.['state'] !== 'leased' && job?.['kind'] !== 'manual';
  }, 'the job to be idle');

async function askAtOnce(cluster: Cluster, folder: string) {
  const id = await createJob(cluster, {
    name: 'asked',
    cron: '*/2 * * * * *',
    command: withEvidence(folder, 'sleep 0.5'),
  });
  let accepted = 0;
  const others = new Set<number>();
  for (let round = 0; round < 5; round++) {
    const asked = Array.from({ length: 50 }, () => call(cluster, 'POST', `/job_api/${id}/run_now`));
    for (const { status } of await Promise.all(asked)) {
      if (status === 200) accepted += 1;
      else others.add(status);
    }
    await idle(cluster, id);
  }
  await call(cluster, 'PUT', `/job_api/${id}`, { enabled: false });
  await idle(cluster, id);
  const { overlaps } = readEvidence(folder);
  const [row] = await cluster.query<{ n: number }>(
    "SELECT COUNT(*) AS n FROM job_runs WHERE job_id = ? AND trigger_kind = 'manual'",
    [id],
  );
  const own = overlaps.filter(({ jobId }) => jobId === id).length;
  const manual = Number(row?.n);
  return {
    counted: `250 asked, ${accepted} accepted (the others: ${[...others].join(', ')}), ${manual} runs by hand, ${own} overlaps`,
    hasPassed: own === 0 && manual === accepted && accepted >= 1 && [...others].every((status) => status === 409),
  };
}

/** Even seconds and odd seconds in turn: a run that was claimed under one plan for an instant of the other is wrong. */
async function editSchedule(cluster: Cluster) {
  const plans = ['*/2 * * * * *', '1-59/2 * * * * *'];
  const id = await createJob(cluster, { name: 'edited', cron: plans[0] ?? '', command: 'true' });
  const commits: { atMs: number; parity: number }[] = [];
  const countRuns = async () => {
    const [row] = await cluster.query<{ runs: number }>('SELECT COUNT(*) AS runs FROM job_runs WHERE job_id = ?', [id]);
    return Number(row?.runs);
  };
  // Where edits are slow, few instants come under the plan that names them: a hundred edits may see no run at all.
  const isEnough = async () => commits.length >= 1000 || (commits.length >= 100 && (await countRuns()) >= 3);
  while (!(await isEnough())) {
    const n = commits.length + 1;
    const { status, message } = await call(cluster, 'PUT', `/job_api/${id}`, { cron: plans[n % 2] });
    if (status !== 200) throw new Error(`The schedule was not changed: ${message}`);
    const [now] = await cluster.query<{ at: Date }>('SELECT UTC_TIMESTAMP(6) AS at');
    commits.push({ atMs: Number(now?.at), parity: n % 2 });
    await delay(90);
  }
  await call(cluster, 'PUT', `/job_api/${id}`, { enabled: false });
  const runs = await cluster.query<{ scheduled_for: Date; created_at: Date }>(
    'SELECT scheduled_for, created_at FROM job_runs WHERE job_id = ?',
    [id],
  );
  const isOfOldPlan = ({ scheduled_for, created_at }: { scheduled_for: Date; created_at: Date }) => {
    const parity = (scheduled_for.getTime() / 1000) % 2;
    // The plan in force when it was claimed was committed by then; the next edit's commit lies after its answer's start.
    const inForce = commits.filter(({ atMs }) => atMs < created_at.getTime());
    const next = commits[inForce.length];
    const last = inForce.at(-1);
    return last !== undefined && last.parity !== parity && next?.parity !== parity;
  };
  const wrong = runs.filter(isOfOldPlan).length;
  return {
    counted: `${commits.length} changes, ${runs.length} runs, ${wrong} of a plan that was gone`,
    hasPassed: wrong === 0 && runs.length > 0,
  };
}

async function herd(cluster: Cluster) {
  const at = new Date(Math.ceil(Date.now() / 1000) * 1000 + 4000);
  for (let n = 0; n < 300; n++) {
    await cluster.query(
      `INSERT INTO jobs (user_id, name, name_key, command, cron, timezone, next_run, state)
       VALUES (1, ?, ?, 'true', '0 0 1 1 *', 'UTC', ?, 'idle')`,
      [`herd ${n}`, `herd ${n}`, at],
    );
  }
  const counts = async () => {
    const [row] = await cluster.query<{ ended: number; runs: number; lag_ms: number }>(
      `SELECT COUNT(*) AS runs, SUM(outcome IS NOT NULL) AS ended,
              MAX(TIMESTAMPDIFF(MICROSECOND, scheduled_for, started_at)) / 1000 AS lag_ms
       FROM job_runs WHERE job_id IN (SELECT id FROM jobs WHERE name LIKE 'herd %')`,
    );
    return { runs: Number(row?.runs), ended: Number(row?.ended), lag: Math.round(Number(row?.lag_ms)) };
  };
  await until(async () => (await counts()).ended >= 300, 'the herd', 120_000);
  const { runs, lag } = await counts();
  return { counted: `${runs} runs, the last began ${lag} ms after the instant`, hasPassed: runs === 300 };
}
