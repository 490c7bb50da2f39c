import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/platform/version.ts';
import { seedFirstStart } from '../../src/services/seed.ts';
import { startApi } from '../../test/support/api.ts';
import { createEnvironment } from '../../test/support/environment.ts';
import { startProcess } from '../../test/support/processes.ts';
import { startThrowawayServers } from '../../test/support/servers.ts';

const HELP = `npm run sdk:smoke [-- LANGUAGE …]: runs the generated clients of sdks/, unmodified, against a live server of its own.

Languages: python, javascript, go, java; all of them where none is named. One that is not generated yet is generated first.
A language whose tools this machine lacks is left out and said so; one that was asked for by name fails then.`;

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORK = join(ROOT, '.bjr/sdk-smoke');

/** What it takes to run a language's program: the tools, then commands in the language's folder below WORK. */
interface Language {
  tools: string[];
  commands: string[][];
}

const LANGUAGES: Record<string, Language> = {
  python: {
    tools: ['python3'],
    commands: [
      ['python3', '-m', 'venv', 'venv'],
      ['venv/bin/pip', 'install', '--quiet', './sdk'],
      ['venv/bin/python', 'smoke.py'],
    ],
  },
  javascript: {
    tools: ['npm', 'node'],
    commands: [
      ['npm', 'install', '--silent', '--prefix', 'sdk'],
      ['node', 'smoke.mjs'],
    ],
  },
  go: {
    tools: ['go'],
    commands: [
      ['go', 'mod', 'tidy'],
      ['go', 'run', '.'],
    ],
  },
  java: {
    tools: ['mvn', 'java'],
    commands: [
      [
        'mvn',
        '-q',
        '-B',
        '-f',
        'sdk/pom.xml',
        'install',
        '-DskipTests',
        '-Dmaven.javadoc.skip=true',
        '-Dmaven.source.skip=true',
      ],
      ['mvn', '-q', '-B', `-Dbjr.version=${VERSION}`, 'compile', 'exec:java'],
    ],
  },
};

async function main(names: string[]): Promise<number> {
  if (names.some((name) => name === '--help' || !LANGUAGES[name])) {
    console.log(HELP);
    return names.includes('--help') ? 0 : 2;
  }
  const wanted = names.length > 0 ? names : Object.keys(LANGUAGES);
  const servers = await startThrowawayServers('mysql');
  Object.assign(process.env, servers.env);
  const failed: string[] = [];
  try {
    const env = await createEnvironment({ RUNNERS: '1', TICK_SECONDS: '1' });
    await seedFirstStart(env.db, env.config.seed);
    const api = await startApi(env);
    const worker = startProcess('worker', env.env);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    for (const name of wanted) if (!run(name, api.url, names.length > 0)) failed.push(name);
    await Promise.all([api.process.end('SIGTERM'), worker.end('SIGTERM')]);
    await env.close();
  } finally {
    await servers.stop();
  }
  console.log(failed.length > 0 ? `Failed: ${failed.join(', ')}` : 'All of them work.');
  return failed.length > 0 ? 1 : 0;
}

/** False: the client did not do what was asked of it. */
function run(name: string, url: string, isAskedFor: boolean): boolean {
  const { tools, commands } = LANGUAGES[name] ?? { tools: [], commands: [] };
  const missing = tools.filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  if (missing.length > 0) {
    console.log(`${name}: left out, this machine has no ${missing.join(', ')}`);
    return !isAskedFor;
  }
  const sdk = join(ROOT, 'sdks', name);
  if (!existsSync(sdk)) call('node', [join(ROOT, 'tools/sdk/generate.ts'), name], { cwd: ROOT });
  const folder = join(WORK, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, 'tools/sdk/smoke', name), folder, { recursive: true });
  cpSync(sdk, join(folder, 'sdk'), { recursive: true });
  console.log(`${name}: building and running the client …`);
  return commands.every(([program = '', ...args]) => call(program, args, { cwd: folder, url, name }));
}

function call(
  program: string,
  args: string[],
  { cwd, url = '', name = '' }: { cwd: string; url?: string; name?: string },
) {
  const env = { ...process.env, BJR_URL: url, BJR_LANGUAGE: name, NODE_NO_WARNINGS: '1' };
  return spawnSync(program, args, { cwd, env, stdio: 'inherit' }).status === 0;
}

process.exitCode = await main(process.argv.slice(2));
