import { appendFileSync } from 'node:fs';
import { type Figure, format, isMet, ratioOf } from './scenario.ts';

const HEAD = ['measured', 'value', 'baseline', 'ratio', 'goal', 'met'];

function cells(figure: Figure): string[] {
  const { what, unit, value, baseline, goal } = figure;
  const ratio = ratioOf(figure);
  const met = isMet(figure);
  return [
    what,
    `${format(value)} ${unit}`,
    baseline ? `${format(baseline.value)} ${unit} (${baseline.what})` : '',
    ratio === null ? '' : ratio.toFixed(2),
    goal ? ('atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`) : '',
    met === null ? '' : met ? 'yes' : 'NO',
  ];
}

export function printTable(figures: Figure[]): void {
  const rows = [HEAD, ...figures.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

/** Appends the lines to a file, for docs/performance.md. */
export function writeMarkdown(file: string, figures: Figure[]): void {
  const line = (row: string[]) => `| ${row.join(' | ')} |`;
  const rows = [line(HEAD), line(HEAD.map(() => '---')), ...figures.map((figure) => line(cells(figure)))];
  appendFileSync(file, `${rows.join('\n')}\n\n`);
}
