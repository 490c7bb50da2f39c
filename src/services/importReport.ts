/** What an import did, or would do: counts by table, and a word on every row that was changed or left out. */
export interface ImportReport {
  count(table: string, what: 'taken' | 'already', n?: number): void;
  /** A row that was taken over, but not as it was. */
  change(table: string, row: { legacyId: number; label: string }, what: string): void;
  leaveOut(table: string, row: { legacyId: number; label: string }, why: string): void;
  /** The same of rows that are too many to name. */
  changeMany(table: string, what: string): void;
  leaveOutMany(table: string, why: string): void;
  note(about: string, what: string): void;
  /** Whether everything is here, if not as it was. */
  isComplete(): boolean;
  counts(): Record<string, Counts>;
  /** Plain text. */
  print(): string;
}

export interface Counts {
  taken: number;
  already: number;
  changed: number;
  left: number;
}

export function createReport(): ImportReport {
  const byTable = new Map<string, Counts>();
  const lines: string[] = [];
  const many = new Map<string, number>();
  const of = (table: string) => {
    const counts = byTable.get(table) ?? { taken: 0, already: 0, changed: 0, left: 0 };
    byTable.set(table, counts);
    return counts;
  };
  const addMany = (line: string) => many.set(line, (many.get(line) ?? 0) + 1);
  return {
    count(table, what, n = 1) {
      of(table)[what] += n;
    },
    change(table, { legacyId, label }, what) {
      of(table).changed += 1;
      lines.push(`${table} ${legacyId} '${label}': ${what}`);
    },
    leaveOut(table, { legacyId, label }, why) {
      of(table).left += 1;
      lines.push(`${table} ${legacyId} '${label}' LEFT OUT: ${why}`);
    },
    changeMany(table, what) {
      of(table).changed += 1;
      addMany(`${table}: ${what}`);
    },
    leaveOutMany(table, why) {
      of(table).left += 1;
      addMany(`${table} LEFT OUT: ${why}`);
    },
    note(about, what) {
      lines.push(`${about}: ${what}`);
    },
    isComplete: () => [...byTable.values()].every(({ left }) => left === 0),
    counts: () => Object.fromEntries(byTable),
    print() {
      const columns = ['taken', 'already', 'changed', 'left'] as const;
      const head = `${'table'.padEnd(10)} ${['taken over', 'before', 'changed', 'left out'].map((name) => name.padStart(10)).join(' ')}`;
      const rows = [...byTable].map(
        ([table, counts]) =>
          `${table.padEnd(10)} ${columns.map((name) => String(counts[name]).padStart(10)).join(' ')}`,
      );
      const summed = [...many].map(([line, n]) => `${line}: ${n}`);
      return [...lines, ...summed, '', head, ...rows].join('\n');
    },
  };
}
