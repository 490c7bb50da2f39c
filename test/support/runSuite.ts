import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import type { DatabaseKind } from '../../src/embedded/database.ts';
import { findUnseen } from './description.ts';
import { startThrowawayServers, type ThrowawayServers } from './servers.ts';

const HELP = `bin/test: the whole test suite, over throw-away servers, on MySQL and then on MariaDB.

  bin/test                        everything
  bin/test --database mysql       on one of them only (mysql or mariadb)
  bin/test test/domain            some files; further arguments are vitest's

A server that can be neither found nor fetched is left out and said so; with CI=true that is a failure.`;

const DATABASES: DatabaseKind[] = ['mysql', 'mariadb'];

/** What touches no database, or says nothing of one, need not run twice. */
const ONCE = [
  ...['domain/**', 'engine/**', 'platform/**', 'embedded/**', 'browser/**', 'deploy/**', 'api/fuzz.test.ts'],
  'cluster/metrics.test.ts',
  ...['dates', 'languages', 'processes', 'schedules', 'signIn'].map((name) => `api/${name}.test.ts`),
  ...['callbackTarget', 'headers', 'leaks', 'requests', 'sendCallback', 'slowClients', 'tokens'].map(
    (name) => `security/${name}.test.ts`,
  ),
].flatMap((part) => ['--exclude', `test/${part}`]);

/**
 * Side by side. Whole workers that are killed and frozen mostly wait, one file at a time; two files of the others run
 * meanwhile.
 */
const LANES = [
  ['--exclude', 'test/cluster/**'],
  ['test/cluster', '--maxWorkers', '1'],
];

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  /** A text for each that failed. */
  failures: string[];
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { database: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
    strict: true,
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const kinds = DATABASES.filter((kind) => !values.database || values.database === kind);
  if (kinds.length === 0) throw new Error(`--database takes ${DATABASES.join(' or ')}`);
  const seenFile = join(mkdtempSync(join(tmpdir(), 'bjr-seen-')), 'statuses');
  writeFileSync(seenFile, '');
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, failures: [] };
  const servers = await startServers(kinds);
  const ran = servers.map(({ kind }) => kind);
  try {
    const [first = [], ...others] = positionals.length > 0 ? [positionals] : LANES;
    const runLane = async (lane: string[], output: Output) => {
      for (const [index, { kind, env }] of servers.entries()) {
        const args = [...lane, ...(index > 0 ? ONCE : [])];
        add(totals, await runVitest(`${kind}: ${lane.join(' ')}`, args, { ...env, BJR_TEST_SEEN: seenFile }, output));
      }
    };
    await Promise.all([runLane(first, 'now'), ...others.map((lane) => runLane(lane, 'at its end'))]);
  } finally {
    await Promise.all(servers.map(({ stop }) => stop()));
  }
  const missing = kinds.filter((kind) => !ran.includes(kind));
  console.log(
    `\nRan on ${ran.join(' and ') || 'nothing'}${missing.length > 0 ? `; not on ${missing.join(', ')}` : ''}.`,
  );
  // Some files alone see only some of it.
  const unseen = positionals.length > 0 || ran.length === 0 ? [] : readUnseen(seenFile);
  if (unseen.length > 0) {
    totals.failed += 1;
    totals.failures.push(`No test has seen these described answers:\n  ${unseen.join('\n  ')}`);
  }
  rmSync(dirname(seenFile), { recursive: true, force: true });
  // Once more at the end: two databases and two lanes lie in between, and some readers see only the last lines.
  if (totals.failures.length > 0) console.log(`\nFailed:\n\n${totals.failures.join('\n\n')}\n`);
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  const isIncomplete = ran.length === 0 || (missing.length > 0 && process.env['CI'] === 'true');
  return totals.failed > 0 || totals.passed === 0 || isIncomplete ? 1 : 0;
}

const readUnseen = (file: string) => findUnseen(new Set(readFileSync(file, 'utf8').split('\n')));

/** Those that can be had here. */
async function startServers(kinds: DatabaseKind[]): Promise<(ThrowawayServers & { kind: DatabaseKind })[]> {
  const started = [];
  for (const kind of kinds) {
    try {
      started.push({ kind, ...(await startThrowawayServers(kind)) });
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
    }
  }
  return started;
}

function add(totals: Totals, { passed, failed, skipped, failures }: Totals): void {
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
  totals.failures.push(...failures);
}

/** Two that write at once could not be read. */
type Output = 'now' | 'at its end';

async function runVitest(title: string, args: string[], env: Record<string, string>, output: Output): Promise<Totals> {
  const folder = mkdtempSync(join(tmpdir(), 'bjr-report-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const head = `\n== ${title}`;
  if (output === 'now') console.log(head);
  const child = spawn('vitest', ['run', ...reporters, '--passWithNoTests', ...args], {
    env: { ...process.env, ...env },
    stdio: output === 'now' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  // Ctrl-C reaches vitest as well; what is left to do here is to stop the servers after it.
  process.on('SIGINT', () => {});
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)));
  if (output === 'at its end') console.log(head + text);
  const totals = readTotals(title, report);
  rmSync(folder, { recursive: true, force: true });
  if (code === 0 || totals.failed > 0) return totals;
  return {
    ...totals,
    failed: 1,
    failures: [`${title}: broke outside of any test (vitest ended with ${code}); see above`],
  };
}

/** Of vitest's JSON report, what is needed here. */
interface Report {
  numPassedTests: number;
  numPendingTests: number;
  testResults: {
    name: string;
    status: string;
    /** Why no test of the file could run. */
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

function readTotals(title: string, file: string): Totals {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, failures: [`${title}: no report: ${String(error)}`] };
  }
  const failures = report.testResults.flatMap((result) => readFailures(title, result));
  return { passed: report.numPassedTests, failed: failures.length, skipped: report.numPendingTests, failures };
}

function readFailures(
  title: string,
  { name, status, message, assertionResults }: Report['testResults'][number],
): string[] {
  const place = `${title}: ${relative(process.cwd(), name)}`;
  const failed = assertionResults.filter((result) => result.status === 'failed');
  if (status === 'failed' && failed.length === 0) return [`${place}\n${message}`];
  return failed.map(({ fullName, failureMessages }) => `${place} > ${fullName}\n${withoutLibraries(failureMessages)}`);
}

/** Of stacks, only this project's part. */
const withoutLibraries = (messages: string[]) =>
  messages.join('\n').replaceAll(/^ +at .*(node_modules|new Promise).*\n?/gm, '');

process.exitCode = await main();
