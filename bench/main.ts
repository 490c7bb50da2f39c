import { api } from './api.ts';
import { drain } from './drain.ts';
import { drainAged } from './drainAged.ts';
import { engine } from './engine.ts';
import { fleet } from './fleet.ts';
import { idle } from './idle.ts';
import { lag } from './lag.ts';
import { keepNothing } from './leave.ts';
import { list } from './list.ts';
import { describeMachine } from './machine.ts';
import { printTable, writeMarkdown } from './report.ts';
import { runner } from './runner.ts';
import { scale } from './scale.ts';
import { readOptions, type Scenario } from './scenario.ts';

/*
 * Measurements: `npm run bench` for all of them, `npm run bench -- NAME… [--quick] [--rounds 5] [--mariadb]
 * [--markdown FILE]` for some. Further options stand at the top of a scenario's file.
 */
const SCENARIOS: Record<string, Scenario> = { drain, drainAged, engine, lag, idle, runner, list, scale, api, fleet };

const argv = process.argv.slice(2);
const names = argv.slice(0, argv.findIndex((word) => word.startsWith('--')) >>> 0);
const unknown = names.filter((name) => !(name in SCENARIOS));
if (argv.includes('--help') || unknown.length > 0) {
  for (const name of unknown) console.error(`There is no measurement '${name}'.`);
  for (const [name, { about }] of Object.entries(SCENARIOS)) console.log(`${name.padEnd(10)} ${about}`);
  process.exit(unknown.length > 0 ? 2 : 0);
}

const options = readOptions(argv);
const markdown = argv.includes('--markdown') ? argv[argv.indexOf('--markdown') + 1] : undefined;
keepNothing();
console.log(await describeMachine(options.databaseKind));
for (const [name, { measure }] of Object.entries(SCENARIOS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const figures = await measure(options);
  console.log(`\n${name}`);
  printTable(figures);
  if (markdown) writeMarkdown(markdown, figures);
}
