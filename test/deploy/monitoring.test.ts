import { readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startApi } from '../support/api.ts';
import { createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { startProcess, until } from '../support/processes.ts';
import { type Family, probed } from '../support/scrape.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; action: string; runbook: string };
}
const rules: Rule[] = parse(read('deploy/prometheus/alerts.yaml')).groups.flatMap((group: any) => group.rules);
const panels: any[] = JSON.parse(read('deploy/grafana/bjr.json')).panels;
const queries = panels.flatMap((panel) => panel.targets ?? []).map((target) => String(target.expr));

let env: TestEnvironment;
let scrapes: Record<'API' | 'worker', Map<string, Family>>;
beforeAll(async () => {
  env = await createEnvironment();
  const [ofApi, ofWorker] = [await probed(), await probed()];
  const worker = startProcess('worker', { ...env.env, ...ofWorker.settings, RUNNERS: '1' });
  const [api] = await Promise.all([
    startApi(env, ofApi.settings),
    worker.line((line) => line['msg'] === 'The worker is ready'),
  ]);
  await api.call('GET', '/version');
  await until(async () => (await ofApi.probe.value('bjr_workers')) !== undefined, 'Redis');
  scrapes = { API: await ofApi.probe.scrape(), worker: await ofWorker.probe.scrape() };
  await Promise.all([api.process.end('SIGKILL'), worker.end('SIGKILL')]);
});
afterAll(() => env.close());

/** Every family that a process has, with its labels; le is the buckets' own. */
function described(): Map<string, { from: string[]; type: string; labels: string[]; help: string }> {
  const all = new Map<string, { from: string[]; type: string; labels: string[]; help: string }>();
  for (const [from, families] of Object.entries(scrapes)) {
    for (const [name, { type, help, samples }] of families) {
      const labels = [...new Set(samples.flatMap((sample) => Object.keys(sample.labels)))].filter((it) => it !== 'le');
      const known = all.get(name) ?? { from: [], type, labels: labels.toSorted(), help };
      all.set(name, { ...known, from: [...known.from, from] });
    }
  }
  return all;
}

test('docs/metrics.md has every metric, as the processes have it', () => {
  const rows = read('docs/metrics.md').matchAll(/^\| `(bjr_\w+)` +\|(.*?)\|(.*?)\|(.*?)\|(.*)\|$/gm);
  const documented = Array.from(rows, (row) => row.slice(1).map((cell) => cell.trim()));
  const real = [...described()]
    .filter(([name]) => name.startsWith('bjr_'))
    .map(([name, { from, type, labels, help }]) => [
      name,
      from.join(', '),
      type,
      labels.map((l) => `\`${l}\``).join(', '),
      help,
    ]);
  const byName = ([a = '']: string[], [b = '']: string[]) => (a < b ? -1 : 1);
  expect(documented.toSorted(byName)).toEqual(real.toSorted(byName));
});

test('alerts and the dashboard name metrics and labels that there are', () => {
  const known = described();
  const exprs = [...rules.map(({ expr }) => expr), ...queries];
  expect(exprs.length).toBeGreaterThan(50);
  const problems = exprs.flatMap((expr) => {
    const uses = expr.matchAll(/\b((?:bjr|nodejs|process)_[a-z0-9_]+)(?:\{([^}]*)\})?/g);
    return Array.from(uses, ([, used = '', selector = '']) => {
      const name = known.has(used) ? used : used.replace(/_(bucket|sum|count)$/, '');
      const family = known.get(name);
      if (!family) return `${used} does not exist: ${expr}`;
      const strange = Array.from(selector.matchAll(/(\w+)(?==|!)/g), ([, label = '']) => label).filter(
        (label) => !family.labels.includes(label),
      );
      return strange.length > 0 ? `${used} has no ${strange.join()}: ${expr}` : [];
    }).flat();
  });
  expect(problems).toEqual([]);
});

test('alerts and the dashboard are PromQL', () => {
  const mistakesIn = (expr: string) => {
    const mistakes: string[] = [];
    parser.parse(expr).iterate({
      enter: ({ type, from, to }) => {
        if (type.isError) mistakes.push(`at ${from} '${expr.slice(from, to)}': ${expr}`);
      },
    });
    return mistakes;
  };
  expect(mistakesIn('sum(bjr_leading == 0')).not.toEqual([]);
  // Grafana puts its own in before it asks.
  const asked = queries.map((expr) => expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, 'any'));
  expect([...rules.map(({ expr }) => expr), ...asked].flatMap(mistakesIn)).toEqual([]);
});

test('every alert says what to do and has its runbook', () => {
  const anchors = new Set(
    Array.from(read('docs/operations.md').matchAll(/^#+ (.+)$/gm), ([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
  const names = rules.map(({ alert }) => alert);
  expect(new Set(names).size).toBe(names.length);
  for (const { alert, labels, annotations } of rules) {
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    for (const text of [annotations.summary, annotations.action])
      expect([alert, text]).toEqual([alert, expect.stringMatching(/\S.*\.$|\}\}\.?$/)]);
    const [file, anchor = ''] = annotations.runbook.split('#');
    expect([alert, file, anchors.has(anchor)]).toEqual([alert, 'docs/operations.md', true]);
  }
});

test('the statements of the runbook are ones that the database takes', async () => {
  const statements = Array.from(
    read('docs/operations.md').matchAll(/^```sql\n([\s\S]*?)```$/gm),
    ([, text = '']) => text,
  );
  expect(statements.length).toBeGreaterThan(4);
  for (const statement of statements) expect(await env.query(statement.trim())).toBeInstanceOf(Array);
});

test('panels do not overlap, and every one shows something', () => {
  const taken = new Set<string>();
  for (const { title, type, targets = [], gridPos } of panels) {
    expect([title, type === 'row' || targets.length > 0]).toEqual([title, true]);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(taken.has(`${x},${y}`)).toBe(false);
        taken.add(`${x},${y}`);
      }
    }
  }
});
