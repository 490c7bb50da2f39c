import { appendFileSync } from 'node:fs';
import { type Figure, format, isMet, ratioOf } from './scenario.ts';

const HEAD = ['measured', 'value', 'baseline', 'ratio', 'goal (of the ratio, else of the value)', 'met'];

function cells(figure: Figure, isQuick: boolean): string[] {
  const { what, unit, value, baseline, goal } = figure;
  const ratio = ratioOf(figure);
  const met = isMet(figure);
  return [
    what,
    `${format(value)} ${unit}`,
    baseline ? `${format(baseline.value)} ${unit} (${baseline.what})` : '',
    ratio === null ? '' : ratio.toFixed(2),
    goal ? ('atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`) : '',
    met === null ? '' : isQuick ? '-' : met ? 'yes' : 'NO',
  ];
}

/** A quick one is not judged. */
export function printTable(figures: Figure[], isQuick: boolean): void {
  const rows = [HEAD, ...figures.map((figure) => cells(figure, isQuick))];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  if (isQuick && figures.some(({ goal }) => goal))
    console.log('No goal is judged: --quick measures too little for that.');
}

/** Appends the lines to a file, for docs/performance.md. */
export function writeMarkdown(file: string, figures: Figure[], isQuick: boolean): void {
  const line = (row: string[]) => `| ${row.join(' | ')} |`;
  const rows = [line(HEAD), line(HEAD.map(() => '---')), ...figures.map((figure) => line(cells(figure, isQuick)))];
  appendFileSync(file, `${rows.join('\n')}\n\n`);
}
