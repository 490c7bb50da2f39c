/** A line of the table. */
export interface Row {
  /** Of the fault list: F1 to F28, or an invariant. */
  rows: string;
  name: string;
  counted: string;
  /** Null where it was not tried in this run: `counted` says what shows it. */
  hasPassed: boolean | null;
}

const suite = (rows: string, name: string, test: string): Row => ({ rows, name, counted: test, hasPassed: null });

/** What the suite shows on every change. */
export const ELSEWHERE: Row[] = [
  suite('F6', 'occurrences by stored instants, never by a window', 'test/domain/scheduleReference.test.ts'),
  suite('F8', 'three hours down: skip 0, fire_once 1, catch_up 50, the rest recorded', 'test/store/claimRuns.test.ts'),
  suite('F9', 'a job longer than its period: each occurrence passed over is recorded', 'test/cluster/worker.test.ts'),
  suite('F14', 'changes of clocks in Berlin, New York, Santiago, Lord Howe, Apia', 'test/domain/schedule.test.ts'),
  suite('F17', 'the claim reads its one index and locks its batch only', 'test/store/claimRuns.test.ts'),
  suite('F18', 'runs are removed in small batches by their keys', 'test/store/retention.test.ts'),
  suite('F19', 'gigabytes of output, NULs, broken UTF-8, both streams', 'test/engine/runner.test.ts'),
  suite(
    'F20',
    'time limit, cancel, drain, lost lease, a dead runner: nothing is left',
    'test/engine/runnerPool.test.ts',
  ),
  suite('F24', 'no start in production without secrets', 'test/platform/config.test.ts'),
  suite('F26', 'without a free worker one run an occurrence or by policy', 'test/store/claimRuns.test.ts'),
  suite('F16', 'heartbeats are keys that Redis forgets by itself: no table is cleaned', 'test/cluster/outages.test.ts'),
  suite('F27', 'a job that keeps failing tells it once, and its recovery once', 'test/cluster/callbacks.test.ts'),
  suite('F28', 'a page of 100,000 jobs', 'npm run bench -- list'),
];

const WORD = new Map([
  [true, 'PASS'],
  [false, 'FAIL'],
  [null, ''],
]);

export function printTable(rows: Row[], title: string): void {
  console.log(`\n${title}\n`);
  const width = (key: 'rows' | 'name' | 'counted') => Math.max(...rows.map((row) => row[key].length), key.length);
  const [first, second, third] = [width('rows'), width('name'), width('counted')];
  const line = (a: string, b: string, c: string, d: string) =>
    console.log(`| ${a.padEnd(first)} | ${b.padEnd(second)} | ${c.padEnd(third)} | ${d.padEnd(6)} |`);
  line('fault', 'what was done', 'counted', 'result');
  line('-'.repeat(first), '-'.repeat(second), '-'.repeat(third), '-'.repeat(6));
  for (const row of rows) line(row.rows, row.name, row.counted, WORD.get(row.hasPassed) ?? '');
}
