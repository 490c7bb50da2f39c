import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { startThrowawayServers } from '../test/support/servers.ts';

const HELP = `npm run chaos:mutations: takes each protection out of a copy of the project and shows that something notices.

  npm run chaos:mutations                       all of them
  npm run chaos:mutations -- --only fence,keys  those whose name holds one of these`;

/** A protection taken out, and what must fail then: a row of the chaos run (part of its name), or a file of the suite. */
interface Mutation {
  name: string;
  changes: { file: string; find: string; replace: string }[];
  noticedBy: { row: string } | { test: string };
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const MUTATIONS: Mutation[] = [
  {
    name: 'record and finish without fence',
    changes: [
      {
        file: 'src/store/recordOutcome.ts',
        find: 'job?.leaseToken === outcome.leaseToken',
        replace: 'job',
      },
      {
        file: 'src/store/recordOutcome.ts',
        find: 'job_runs.lease_token = v.token AND job_runs.outcome IS NULL',
        replace: 'TRUE',
      },
      {
        file: 'src/store/giveUpLeases.ts',
        find: "and(inArray(jobs.id, jobIds), eq(jobs.state, 'leased'))",
        replace: 'inArray(jobs.id, jobIds)',
      },
      {
        file: 'src/store/giveUpLeases.ts',
        find: ' AND jobs.lease_token = v.token',
        replace: '',
      },
    ],
    // A worker that was frozen looks at its leases first: in most rounds the second net is not reached.
    noticedBy: { test: 'test/cluster/worker.test.ts' },
  },
  {
    name: 'no row locks and no unique key',
    changes: [
      { file: 'src/store/lockDue.ts', find: ".for('update', { skipLocked: true })", replace: '' },
      {
        file: 'drizzle/0001_main_path.sql',
        find: 'UNIQUE KEY `job_runs_occurrence`',
        replace: 'KEY `job_runs_occurrence`',
      },
    ],
    noticedBy: { row: 'storm' },
  },
  {
    name: 'leases are taken over without a look at the heartbeat',
    changes: [
      {
        file: 'src/domain/lease.ts',
        find: 'return missedForMs !== null && missedForMs >= leaseMs / 2;',
        replace: 'return true;',
      },
    ],
    noticedBy: { row: 'cut off from the database' },
  },
  {
    name: 'runners do not watch their leases',
    changes: [{ file: 'src/runner/main.ts', find: "kill('lease_lost', graceMs)", replace: 'void kill' }],
    noticedBy: { row: 'frozen' },
  },
  {
    name: 'misfires are not recorded',
    changes: [
      {
        file: 'src/store/insertMisfires.ts',
        find: 'if (rows.length > 0)',
        replace: 'if (rows.length < 0)',
      },
    ],
    noticedBy: { row: 'told to stop' },
  },
  {
    name: "a node's own clock decides what is due",
    changes: [
      { file: 'src/store/lockDue.ts', find: 'earlyMs * 1000', replace: '(earlyMs + Date.now()) * 1000' },
      { file: 'src/store/lockDue.ts', find: 'sql`UTC_TIMESTAMP(6)', replace: "sql`TIMESTAMP('1970-01-01')" },
      {
        file: 'src/store/lockDue.ts',
        find: 'nowMicros: NOW_MICROS',
        replace: 'nowMicros: sql<number>`${earlyMicros} + 0`',
      },
    ],
    noticedBy: { row: 'off by +26h' },
  },
  {
    name: 'only the command itself is ended, not its group',
    changes: [
      {
        file: 'src/runner/processGroup.ts',
        find: 'return process.kill(-pid, signal);',
        replace: 'return process.kill(pid, signal);',
      },
    ],
    noticedBy: { test: 'test/engine/runner.test.ts' },
  },
  {
    name: 'the cap of catch_up is gone',
    changes: [
      {
        file: 'src/store/claimRuns.ts',
        find: 'policy, catchUpMax, nextRun, now, graceMs }',
        replace: 'policy, catchUpMax: 1000 + catchUpMax, nextRun, now, graceMs }',
      },
    ],
    noticedBy: { test: 'test/store/claimRuns.test.ts' },
  },
  {
    name: 'after an outage nobody is given time to renew',
    changes: [{ file: 'src/domain/lease.ts', find: 'if (databaseUpForMs < leaseMs) return false;', replace: '' }],
    noticedBy: { test: 'test/domain/lease.test.ts' },
  },
  {
    name: 'nothing is kept on disk',
    changes: [{ file: 'src/worker/spool.ts', find: 'await rename(draft, pathOf(key));', replace: 'await rm(draft);' }],
    noticedBy: { test: 'test/cluster/outages.test.ts' },
  },
  {
    name: 'a kept outcome of an earlier boot waits for its process',
    changes: [{ file: 'src/worker/orphan.ts', find: 'if (place !== PLACE) return false;', replace: '' }],
    noticedBy: { test: 'test/engine/spool.test.ts' },
  },
  {
    name: 'a lease that its worker never heard of stays',
    changes: [
      {
        file: 'src/worker/leaseKeeper.ts',
        find: 'of await findUnknownLeases(',
        replace: 'of await (async (..._: unknown[]) => [])(',
      },
    ],
    noticedBy: { test: 'test/cluster/outages.test.ts' },
  },
  {
    name: 'callbacks go to any address',
    changes: [
      {
        file: 'src/worker/callbackTarget.ts',
        find: 'if (!ipaddr.isValid(address)) return false;',
        replace: 'if (address) return true;',
      },
    ],
    noticedBy: { test: 'test/cluster/callbacks.test.ts' },
  },
  {
    name: 'a delivery under way is not held',
    changes: [
      {
        file: 'src/store/deliveries.ts',
        find: 'holdMs * 1000',
        replace: '0 * holdMs',
      },
    ],
    noticedBy: { test: 'test/cluster/callbacks.test.ts' },
  },
  {
    name: 'the unique key alone is gone',
    changes: [
      {
        file: 'drizzle/0001_main_path.sql',
        find: 'UNIQUE KEY `job_runs_occurrence`',
        replace: 'KEY `job_runs_occurrence`',
      },
    ],
    noticedBy: { test: 'test/store/claimRuns.test.ts' },
  },
  {
    name: 'rows that others hold are waited for',
    changes: [
      {
        file: 'src/store/lockDue.ts',
        find: ".for('update', { skipLocked: true })",
        replace: ".for('update')",
      },
    ],
    noticedBy: { test: 'test/store/claimRuns.test.ts' },
  },
  {
    name: 'a lease is renewed under any token',
    changes: [
      {
        file: 'src/store/renewLeases.ts',
        find: 'eq(jobs.leaseOwner, workerId),\n    sql`',
        replace: 'eq(jobs.leaseOwner, workerId),\n    sql`TRUE OR ',
      },
    ],
    noticedBy: { test: 'test/store/leases.test.ts' },
  },
  {
    name: 'a renewal waits for rows that others hold',
    changes: [
      { file: 'src/store/renewLeases.ts', find: ".for('update', { skipLocked: true })", replace: ".for('update')" },
    ],
    noticedBy: { test: 'test/store/leases.test.ts' },
  },
  {
    name: 'an outage of Redis that is over counts in the next',
    changes: [{ file: 'src/scheduler/reap.ts', find: 'if (workerIds.size === 0) awaySinceMs = null;', replace: '' }],
    noticedBy: { test: 'test/cluster/reap.test.ts' },
  },
  {
    name: 'outcomes that are left on disk are taken for runs that never began',
    changes: [{ file: 'src/worker/leaseKeeper.ts', find: 'if (leaving.aborted) return;', replace: '' }],
    noticedBy: { test: 'test/cluster/outages.test.ts' },
  },
  {
    name: 'ids are taken for consecutive',
    changes: [{ file: 'src/store/writeClaim.ts', find: 'index * job.idStep', replace: 'index' }],
    noticedBy: { test: 'test/store/claimRuns.test.ts' },
  },
  {
    name: 'retention removes runs under way',
    changes: [
      {
        file: 'src/store/pruneRuns.ts',
        find: '.where(and(eq(jobRuns.jobId, job.id), isNotNull(jobRuns.outcome)))',
        replace: '.where(eq(jobRuns.jobId, job.id))',
      },
    ],
    noticedBy: { test: 'test/store/retention.test.ts' },
  },
  {
    name: 'an idempotency key is not kept',
    changes: [{ file: 'src/services/idempotency.ts', find: 'if (taken) return', replace: 'if (!taken && 0) return' }],
    noticedBy: { test: 'test/api/jobFields.test.ts' },
  },
  {
    name: "a user is shown others' jobs",
    changes: [
      {
        file: 'src/store/jobs.ts',
        find: '.where(and(eq(jobs.id, id), eq(jobs.userId, userId)))',
        replace: '.where(eq(jobs.id, id))',
      },
    ],
    noticedBy: { test: 'test/api/isolation.test.ts' },
  },
  {
    name: "commands run as the worker's own user",
    changes: [{ file: 'src/runner/execute.ts', find: '...request.owner, ', replace: '' }],
    noticedBy: { test: 'test/engine/cage.test.ts' },
  },
  {
    name: 'processes that left their group are not looked for',
    changes: [
      {
        file: 'src/runner/escapees.ts',
        find: 'return token !== undefined && sought.has(token) ? { pid, token } : null;',
        replace: 'return null;',
      },
    ],
    noticedBy: { test: 'test/engine/runnerPool.test.ts' },
  },
  {
    name: 'a frozen session lives for ever',
    changes: [
      {
        file: 'src/store/database.ts',
        find: 'const SILENCE_MAX_SECONDS = 25',
        replace: 'const SILENCE_MAX_SECONDS = 25_000',
      },
    ],
    noticedBy: { test: 'test/store/frozenHolder.test.ts' },
  },
  {
    name: 'runs share a cgroup',
    changes: [{ file: 'src/runner/runCgroups.ts', find: '    prepared = null;\n', replace: '' }],
    noticedBy: { test: 'test/engine/cgroups.test.ts' },
  },
  {
    name: 'cgroups of runs are not killed',
    changes: [
      { file: 'src/runner/cgroup.ts', find: '  killCgroup(cgroup);\n', replace: '' },
      { file: 'src/runner/runCgroups.ts', find: '() => killCgroup(cgroup)', replace: '() => undefined' },
    ],
    noticedBy: { test: 'test/engine/cgroups.test.ts' },
  },
  {
    name: 'callbacks are signed with no secret',
    changes: [
      {
        file: 'src/worker/sendCallback.ts',
        find: "createHmac('sha256', secret)",
        replace: "createHmac('sha256', '')",
      },
    ],
    noticedBy: { test: 'test/cluster/callbacks.test.ts' },
  },
  {
    name: 'an answer that waits is not looked for',
    changes: [
      {
        file: 'src/store/giveUpSilent.ts',
        find: 'setImmediate(() => {',
        replace: '((work: () => void) => work())(() => {',
      },
    ],
    noticedBy: { test: 'test/store/giveUpSilent.test.ts' },
  },
  {
    name: 'output is kept beyond what the database takes',
    changes: [
      {
        file: 'src/store/outputRoom.ts',
        find: 'const BYTES_FOR_ONE_MAX = 3;',
        replace: 'const BYTES_FOR_ONE_MAX = 1;',
      },
    ],
    noticedBy: { test: 'test/store/leases.test.ts' },
  },
  {
    name: 'certificates are not compared with the name',
    changes: [{ file: 'src/store/database.ts', find: 'verifyIdentity: true', replace: 'verifyIdentity: false' }],
    noticedBy: { test: 'test/security/encryption.test.ts' },
  },
  {
    name: 'a job is created for a user who is gone',
    changes: [{ file: 'src/store/jobs.ts', find: 'if (affectedRows(counted) !== 1) return null;', replace: '' }],
    noticedBy: { test: 'test/api/users.test.ts' },
  },
];

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, help: { type: 'boolean', short: 'h' } },
});

async function main(): Promise<number> {
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  console.log('| protection taken out | noticed by | result |\n| --- | --- | --- |');
  const words = values.only.split(',');
  const wanted = MUTATIONS.filter(({ name }) => words.some((word) => name.includes(word)));
  // One for all: each file makes a database of its own.
  const servers = await startThrowawayServers('mysql');
  try {
    const unnoticed = wanted.filter((mutation) => !isNoticed(mutation, { ...process.env, ...servers.env }));
    return unnoticed.length > 0 ? 1 : 0;
  } finally {
    await servers.stop();
  }
}

/** What comes after it runs without the protection: it may do what that keeps off, or wait for ever. */
const AT_FIRST_FAILURE = ['--bail', '1', '--testTimeout', '60000'];

function isNoticed(mutation: Mutation, env: NodeJS.ProcessEnv): boolean {
  const copy = mkdtempSync(join(tmpdir(), 'bjr-mutation-'));
  try {
    for (const part of [
      'src',
      'drizzle',
      'test',
      'chaos',
      'package.json',
      'openapi.json',
      'vitest.config.ts',
      'tsconfig.json',
    ])
      cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    for (const part of ['node_modules', '.bjr']) symlinkSync(join(ROOT, part), join(copy, part));
    for (const change of mutation.changes) apply(copy, change);
    const { noticedBy } = mutation;
    const [by, args] =
      'row' in noticedBy
        ? [
            `npm run chaos: ${noticedBy.row}`,
            ['chaos/main.ts', '--minutes', '0.01', '--seed', '1', '--only', noticedBy.row],
          ]
        : [noticedBy.test, ['node_modules/vitest/vitest.mjs', 'run', noticedBy.test, ...AT_FIRST_FAILURE]];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: copy, env, encoding: 'utf8' });
    // Noticed by what it says, not by falling over.
    const said =
      'row' in noticedBy ? /\| FAIL/.test(stdout) : / [1-9]\d* failed/.test(stripVTControlCharacters(stdout));
    const isCaught = status === 1 && said;
    if (!isCaught) console.error(stdout.slice(-3000));
    console.log(`| ${mutation.name} | ${by} | ${isCaught ? 'noticed' : 'NOT NOTICED'} |`);
    return isCaught;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function apply(copy: string, { file, find, replace }: Mutation['changes'][number]): void {
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  if (!text.includes(find)) throw new Error(`${file} does not hold what is to be taken out: ${find}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}

process.exitCode = await main();
