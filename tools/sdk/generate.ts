import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/platform/version.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GENERATOR = { version: '7.24.0', sha256: '4b83ccc6fd43056c8c631cd0195e5100bd0550912502527bab09ac76152dab0c' };
const JAR = join(ROOT, `.bjr/tools/openapi-generator-cli-${GENERATOR.version}.jar`);
const IMAGE = `openapitools/openapi-generator-cli:v${GENERATOR.version}`;

interface Language {
  generator: string;
  options: Record<string, string>;
  /** Go's module path is github.com/USER/REPOSITORY. */
  module?: { user: string; repository: string };
}

/** Folder in sdks/ → the generator and its options. */
const LANGUAGES: Record<string, Language> = {
  csharp: { generator: 'csharp', options: { packageName: 'Bjr.Client', packageVersion: VERSION } },
  go: {
    generator: 'go',
    options: { packageName: 'bjr', packageVersion: VERSION, withGoMod: 'true' },
    module: { user: 'bjr', repository: 'client-go' },
  },
  java: {
    generator: 'java',
    options: {
      groupId: 'bjr',
      artifactId: 'bjr-client',
      artifactVersion: VERSION,
      invokerPackage: 'bjr.client',
      apiPackage: 'bjr.client.api',
      modelPackage: 'bjr.client.model',
    },
  },
  javascript: {
    generator: 'typescript-fetch',
    options: { npmName: 'bjr-client', npmVersion: VERSION, importFileExtension: '.js' },
  },
  python: { generator: 'python', options: { packageName: 'bjr_client', packageVersion: VERSION } },
  ruby: { generator: 'ruby', options: { gemName: 'bjr_client', moduleName: 'BJRClient', gemVersion: VERSION } },
  rust: { generator: 'rust', options: { packageName: 'bjr-client', packageVersion: VERSION } },
};

const HELP = `npm run sdk:generate [-- LANGUAGE …]: clients of the API, from openapi.json into sdks/.

Languages: ${Object.keys(LANGUAGES).join(', ')}; all of them where none is named.
It uses OpenAPI Generator ${GENERATOR.version}: its jar, which Maven fetches once into .bjr/tools, or its Docker image.`;

class CannotGenerate extends Error {}

async function main(names: string[]): Promise<void> {
  const unknown = names.filter((name) => !LANGUAGES[name]);
  if (unknown.length > 0) throw new CannotGenerate(`There is no client for ${unknown.join(', ')}.\n\n${HELP}`);
  const run = findGenerator();
  const wanted = names.length > 0 ? names : Object.keys(LANGUAGES);
  await run(['validate', '-i', 'openapi.json']);
  for (const [index, name] of wanted.entries()) {
    console.log(`[${index + 1}/${wanted.length}] ${name} → sdks/${name} …`);
    await generate(run, name);
  }
}

type Run = (args: string[]) => Promise<void>;

async function generate(run: Run, name: string): Promise<void> {
  const { generator, options, module }: Language = LANGUAGES[name] ?? { generator: name, options: {} };
  rmSync(join(ROOT, 'sdks', name), { recursive: true, force: true });
  const properties = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const output = ['-o', `sdks/${name}`, '-g', generator, '--additional-properties', properties.join(',')];
  const path = module ? ['--git-user-id', module.user, '--git-repo-id', module.repository] : [];
  await run(['generate', '-i', 'openapi.json', ...output, ...path]);
}

/** Java with the jar, else Docker, else what to install. */
function findGenerator(): Run {
  if (answers('java', ['-version']) && (existsSync(JAR) || answers('mvn', ['-v']))) {
    fetchJar();
    return (args) => start('java', ['-jar', JAR, ...args]);
  }
  if (answers('docker', ['info'])) {
    const mount = ['run', '--rm', '-v', `${ROOT}:/work`, '-w', '/work', IMAGE];
    return (args) => start('docker', [...mount, ...args]);
  }
  throw new CannotGenerate(
    'OpenAPI Generator needs Java 11+ with Maven (Debian: apt-get install default-jre-headless maven; macOS: brew install maven), or Docker.',
  );
}

const answers = (program: string, args: string[]) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

function fetchJar(): void {
  if (!existsSync(JAR)) {
    console.log(`Fetching OpenAPI Generator ${GENERATOR.version} (30 MB, once) …`);
    mkdirSync(join(ROOT, '.bjr/tools'), { recursive: true });
    const artifact = `org.openapitools:openapi-generator-cli:${GENERATOR.version}`;
    const copy = ['dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${join(ROOT, '.bjr/tools')}`];
    execFileSync('mvn', ['-q', '-B', ...copy], { stdio: 'inherit' });
  }
  const sha256 = createHash('sha256').update(readFileSync(JAR)).digest('hex');
  if (sha256 === GENERATOR.sha256) return;
  rmSync(JAR);
  throw new CannotGenerate(`${JAR} was not what it should be (SHA-256 ${sha256}) and has been removed. Try again.`);
}

/** The generator's words are shown where it fails. */
async function start(program: string, args: string[]): Promise<void> {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-100_000);
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new CannotGenerate(`${words}\nOpenAPI Generator failed (${code}): ${args.join(' ')}`);
}

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  console.log(HELP);
} else {
  await main(args).catch((error: unknown) => {
    console.error(error instanceof CannotGenerate ? error.message : error);
    process.exitCode = 1;
  });
}
