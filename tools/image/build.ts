import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, '.bjr/image');
const BASE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').match(/^ARG NODE_IMAGE=(\S+)$/m)?.[1] ?? '';
const BASE_NAME = `docker.io/library/${BASE}`;

/** buildah needs no engine, and with `chroot` no container either: it runs where Docker cannot. */
function buildah(...args: string[]): string {
  const storage = ['--storage-driver', 'vfs', '--root', join(FOLDER, 'storage'), '--runroot', join(FOLDER, 'run')];
  return execFileSync('buildah', [...storage, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  }).trim();
}

export interface BuiltImage {
  /** Its files, as a folder. */
  root: string;
  /** What its Dockerfile sets for whoever starts it. */
  config: { Env: string[]; User: string; Entrypoint: string[]; Cmd: string[]; Labels: Record<string, string> };
  remove(): void;
}

/** Builds the Dockerfile, over its own base image or, where that cannot be pulled, over one made here in its place. */
export function buildImage(version: string): BuiltImage {
  mkdirSync(FOLDER, { recursive: true });
  provideBase();
  const mounts = machineSettings().flatMap(([from, to]) => ['--volume', `${from}:${to}:ro`]);
  const options = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--format', 'docker'];
  console.log('Building the image …');
  buildah('build', ...options, ...mounts, '--build-arg', `BJR_VERSION=${version}`, '--tag', 'bjr', ROOT);
  const container = buildah('from', '--pull-never', 'localhost/bjr');
  return {
    root: buildah('mount', container),
    config: JSON.parse(buildah('inspect', '--type', 'image', 'localhost/bjr')).Docker.config,
    remove: () => void buildah('rm', container),
  };
}

function provideBase(): void {
  if (buildah('images', '--format', '{{.Name}}:{{.Tag}}').split('\n').includes(BASE_NAME)) return;
  try {
    buildah('pull', BASE_NAME);
  } catch {
    console.log(`${BASE} cannot be pulled: making one in its place from Debian's packages and npm's Node …`);
    makeBase(join(FOLDER, 'base'));
  }
}

/** Debian's smallest system, with Node and npm where the official image has them. */
function makeBase(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  execFileSync('debootstrap', ['--variant=minbase', 'trixie', folder, debianMirror()], { stdio: 'ignore' });
  const local = join(folder, 'usr/local');
  cpSync(realpathSync(join(ROOT, 'node_modules/.bin/node')), join(local, 'bin/node'));
  const npm = dirname(dirname(realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())));
  cpSync(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  execFileSync('ln', ['-s', '../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm')]);
  const container = buildah('from', 'scratch');
  buildah('copy', '--quiet', container, folder, '/');
  buildah('commit', '--quiet', container, BASE_NAME);
  buildah('rm', container);
  rmSync(folder, { recursive: true });
}

function debianMirror(): string {
  const sources = '/etc/apt/sources.list.d/debian.sources';
  const named = existsSync(sources) ? readFileSync(sources, 'utf8').match(/^URIs: (\S+)/m) : null;
  return named?.[1] ?? 'http://deb.debian.org/debian';
}

/** Not where Debian has its own: its packages write there. */
const CERTIFICATES = '/run/certificates-of-the-builder.crt';

/** How this machine reaches npm's and Debian's packages goes into the build by mounts, which leave no more in the image than empty files. */
function machineSettings(): [from: string, to: string][] {
  const npmrc = join(FOLDER, 'npmrc');
  const own = join(homedir(), '.npmrc');
  const certificates = process.env['NODE_EXTRA_CA_CERTS'];
  const lines = [existsSync(own) ? readFileSync(own, 'utf8') : '', certificates ? `cafile=${CERTIFICATES}` : ''];
  writeFileSync(npmrc, lines.join('\n'), { mode: 0o600 });
  const mounts: [string, string][] = [
    [npmrc, '/root/.npmrc'],
    ['/etc/resolv.conf', '/etc/resolv.conf'],
  ];
  return certificates ? [...mounts, [certificates, CERTIFICATES]] : mounts;
}
