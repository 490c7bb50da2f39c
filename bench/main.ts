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
import { type Asked, helpText, readOptions, UsageError } from './options.ts';
import { printTable, writeMarkdown } from './report.ts';
import { runner } from './runner.ts';
import { scale } from './scale.ts';
import type { Scenario } from './scenario.ts';

/* Measurements: `npm run bench -- --help` tells which, and their options. */
const SCENARIOS: Record<string, Scenario> = { drain, drainAged, engine, lag, idle, runner, list, scale, api, fleet };

const { isHelp, scenarios, databaseKind, isQuick, markdown, optionsOf } = ask();
if (isHelp) {
  console.log(helpText(SCENARIOS));
  process.exit();
}
keepNothing();
console.log(await describeMachine(scenarios.every(([, one]) => one.isWithoutServers) ? null : databaseKind));
for (const [name, scenario] of scenarios) {
  const figures = await scenario.measure(optionsOf(scenario));
  console.log(`\n${name}`);
  printTable(figures, isQuick);
  if (markdown) writeMarkdown(markdown, figures, isQuick);
}

function ask(): Asked {
  try {
    return readOptions(process.argv.slice(2), SCENARIOS);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}. What there is: npm run bench -- --help`);
    process.exit(2);
  }
}
