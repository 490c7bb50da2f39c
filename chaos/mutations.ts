import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `npm run chaos:mutations: takes each protection out of a copy of the project and shows that something notices.

  npm run chaos:mutations                  all of them
  npm run chaos:mutations -- --only fence  those whose name holds this`;

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
        find: "and(eq(jobs.id, jobId), eq(jobs.state, 'leased'), eq(jobs.leaseToken, leaseToken))",
        replace: 'eq(jobs.id, jobId)',
      },
      {
        file: 'src/store/recordOutcome.ts',
        find: 'and(eq(jobRuns.id, runId), eq(jobRuns.leaseToken, leaseToken), isNull(jobRuns.outcome))',
        replace: 'eq(jobRuns.id, runId)',
      },
    ],
    noticedBy: { row: 'frozen' },
  },
  {
    name: 'no row locks and no unique key',
    changes: [
      { file: 'src/store/claimRuns.ts', find: ".for('update', { skipLocked: true })", replace: '' },
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
      {
        file: 'src/store/claimRuns.ts',
        find: 'lte(jobs.dueAt, sql`UTC_TIMESTAMP(6)`)',
        replace: 'lte(jobs.dueAt, new Date())',
      },
      {
        file: 'src/store/claimRuns.ts',
        find: 'nowMicros: NOW_MICROS',
        replace: 'nowMicros: sql.raw(String(Date.now() * 1000)) as typeof NOW_MICROS',
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
        find: 'policy, catchUpMax, nextRun: job',
        replace: 'policy, catchUpMax: 1000 + catchUpMax, nextRun: job',
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
    changes: [
      { file: 'src/worker/spool.ts', find: 'await rename(draft, pathOf(outcome));', replace: 'await rm(draft);' },
    ],
    noticedBy: { test: 'test/cluster/outages.test.ts' },
  },
  {
    name: 'a lease that its worker never heard of stays',
    changes: [{ file: 'src/worker/leaseKeeper.ts', find: 'if (await releaseLease(db, run))', replace: 'if (!run)' }],
    noticedBy: { test: 'test/cluster/outages.test.ts' },
  },
  {
    name: 'callbacks go to any address',
    changes: [
      {
        file: 'src/worker/callbackTarget.ts',
        find: "ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast'",
        replace: 'true',
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
    name: 'a job is created for a user who is gone',
    changes: [{ file: 'src/store/jobs.ts', find: 'if (affectedRows(counted) !== 1) return null;', replace: '' }],
    noticedBy: { test: 'test/api/users.test.ts' },
  },
];

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, help: { type: 'boolean', short: 'h' } },
});

function main(): number {
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  console.log('| protection taken out | noticed by | result |\n| --- | --- | --- |');
  const unnoticed = MUTATIONS.filter(({ name }) => name.includes(values.only)).filter(
    (mutation) => !isNoticed(mutation),
  );
  return unnoticed.length > 0 ? 1 : 0;
}

function isNoticed(mutation: Mutation): boolean {
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
        : [noticedBy.test, ['test/support/runSuite.ts', '--database', 'mysql', noticedBy.test]];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' });
    // Noticed by what it says, not by falling over.
    const said = 'row' in noticedBy ? /\| FAIL/.test(stdout) : / [1-9]\d* failed/.test(stdout);
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

process.exitCode = main();
