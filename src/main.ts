import { parseArgs } from 'node:util';
import { ConfigError, loadConfig } from './platform/config.ts';
import { explainError } from './platform/explainError.ts';
import { createLog } from './platform/log.ts';
// oxlint-disable-next-line import/no-unassigned-import -- it changes how what follows is imported
import './platform/quickImports.ts';
import { VERSION } from './platform/version.ts';

const HELP = `BJR ${VERSION}: runs shell commands on a cron schedule, with a REST API in front.

  bjr api        the REST API on PORT (4000)
  bjr worker     claims due jobs and runs them; stands for election as the leader
  bjr migrate    creates or updates the database; on the first start its users too (not: --without-users)
  bjr after-restore   makes a database that was restored from a backup safe to start on (docs/backup.md)
  bjr import-legacy   takes over what the first BJR has (--help)
  bjr dev        all of it, over a private MySQL and Redis (also: bin/dev)
  bjr doctor     says what is missing or unsafe here: settings, database, Redis, job user, limits
  bjr openapi    prints the OpenAPI description; --check compares it with openapi.json
  bjr settings   lists all settings; --check compares the list with docs/configuration.md, --write puts it there

Settings come from the environment. --help, --version.`;

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } },
  allowPositionals: true,
  strict: false,
});

/** Each command is loaded when it is asked for: the API does not pay for the worker's parts. */
async function main(command: string | undefined, rest: string[]): Promise<number> {
  if (values['version']) return say(VERSION);
  if (command === 'dev') return (await import('./commands/dev.ts')).runDev(rest, process.env);
  if (command === 'openapi') return (await import('./commands/openapi.ts')).runOpenApi(rest);
  if (command === 'settings') return (await import('./commands/settings.ts')).runSettings(rest);
  const hasOwnHelp = command === 'import-legacy';
  if ((values['help'] && !hasOwnHelp) || command === undefined) return say(HELP);
  if (command === 'doctor') return (await import('./commands/doctor.ts')).runDoctor(rest, process.env);
  const config = loadConfig(process.env, command);
  const log = createLog(config.log);
  switch (command) {
    case 'api':
      return (await import('./commands/api.ts')).runApi(config, log);
    case 'worker':
      return (await import('./commands/worker.ts')).runWorker(config, log);
    case 'migrate':
      return (await import('./commands/migrate.ts')).runMigrate(rest, config, log);
    case 'after-restore':
      return (await import('./commands/afterRestore.ts')).runAfterRestore(config, log);
    case 'import-legacy':
      return (await import('./commands/importLegacy.ts')).runImportLegacy(rest, config);
    default:
      console.error(`There is no command '${command}'.\n\n${HELP}`);
      return 2;
  }
}

function say(text: string): number {
  console.log(text);
  return 0;
}

/** What parseArgs throws for options that a command does not have. */
const isMisused = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');

try {
  process.exit(await main(positionals[0], process.argv.slice(3)));
} catch (error) {
  if (isMisused(error)) {
    console.error(`${error.message}\n--help lists what there is.`);
    process.exit(2);
  }
  console.error(error instanceof ConfigError ? error.message : explainError(error));
  process.exit(1);
}
