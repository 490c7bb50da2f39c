import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import mysql from 'mysql2/promise';
import { parse } from 'yaml';
import { findFreePort } from '../../src/embedded/port.ts';
import { VERSION } from '../../src/platform/version.ts';
import { until } from '../../test/support/processes.ts';
import { startThrowawayServers } from '../../test/support/servers.ts';
import { type BuiltImage, buildImage } from './build.ts';
import { type Container, startContainer } from './container.ts';

const HELP = `npm run image:check: builds the image without an engine, looks into it, and runs it as compose.yaml would.

It takes Linux, root, buildah and debootstrap (apt-get install buildah debootstrap), a few minutes and 2 GB in .bjr/image.`;

const secret = () => randomBytes(24).toString('hex');

async function main(): Promise<number> {
  if (process.argv.includes('--help') || process.getuid?.() !== 0) {
    console.log(HELP);
    return process.argv.includes('--help') ? 0 : 1;
  }
  const image = buildImage(VERSION);
  try {
    look(image);
    await runAll(image);
  } finally {
    image.remove();
  }
  return problems === 0 ? 0 : 1;
}

let problems = 0;

function expect(what: string, is: unknown, wanted: unknown = true): void {
  const isSame = isDeepStrictEqual(is, wanted);
  if (!isSame) problems++;
  console.log(isSame ? `ok      ${what}` : `NOT OK  ${what}: ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
}

/** What is in it, and what is not. */
function look({ root, config }: BuiltImage): void {
  expect('the version is on its label', config.Labels['org.opencontainers.image.version'], VERSION);
  expect(
    'no secret is in its environment',
    config.Env.filter((line) => /SECRET|PASSWORD|TOKEN/.test(line)),
    [],
  );
  const found = (path: string) => existsSync(join(root, path));
  const wanted = ['dist/main.js', 'drizzle/meta/_journal.json', 'package.json', 'node_modules/hono'];
  expect(
    'all that it needs is there',
    wanted.filter((path) => !found(`opt/bjr/${path}`)),
    [],
  );
  const others = [
    '.git',
    '.bjr',
    '.env',
    'test',
    'docs',
    'chaos',
    'deploy',
    'src',
    'tools',
    'node_modules/node',
    'node_modules/.bin',
  ];
  expect(
    'and nothing else of the project',
    others.filter((path) => found(`opt/bjr/${path}`)),
    [],
  );
  expect(
    'no packages for development',
    developmentPackages().filter((path) => found(`opt/bjr/${path}`)),
    [],
  );
  const npmrc = join(root, 'root/.npmrc');
  expect('no settings of the machine that built it', existsSync(npmrc) && statSync(npmrc).size > 0, false);
  const state = statSync(join(root, 'var/lib/bjr'));
  expect('only bjr comes at its state', [state.uid, state.mode & 0o777], [10001, 0o700]);
  expect('the program is not to be written', statSync(join(root, 'opt/bjr/dist')).uid, 0);
}

/** By the lock file, which knows what production needs as well. */
function developmentPackages(): string[] {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return Object.keys(packages).filter((path) => packages[path]?.dev);
}

async function runAll(image: BuiltImage): Promise<void> {
  const servers = await startThrowawayServers('mysql');
  const containers: Container[] = [];
  try {
    const env = { ...(await settingsFor(servers.env)), REDIS_PORT: servers.env['BJR_TEST_REDIS_PORT'] ?? '' };
    const admin = secret();
    const first = { INITIAL_ADMIN_PASSWORD: admin, INITIAL_ROOT_PASSWORD: secret() };
    const refused = startContainer(image, { args: ['api'], env: { ...env, SECRET_KEY_BASE: '' } });
    expect('it does not start without a secret', await refused.ended, 1);
    const migrate = startContainer(image, { args: ['migrate'], env: { ...env, ...first } });
    expect('migrate ends well', await migrate.ended, 0);
    if (problems > 0) console.log(migrate.log());

    const [port, apiMetrics, workerMetrics] = await Promise.all([findFreePort(), findFreePort(), findFreePort()]);
    const apiEnv = { ...env, PORT: String(port), METRICS_PORT: String(apiMetrics) };
    const api = startContainer(image, { args: serviceOf('api').command ?? [], env: apiEnv });
    const { command = [], user = '', cap_add: capabilities = [] } = serviceOf('worker-1');
    const workerEnv = { ...env, JOB_USER: 'job', METRICS_PORT: String(workerMetrics) };
    const worker = startContainer(image, { args: command, env: workerEnv, user, capabilities });
    containers.push(api, worker);
    await until(() => [api, worker].every(({ log }) => /is ready/.test(log())), 'API and worker', 120_000);
    for (const [name, container] of Object.entries({ api, worker })) {
      await until(() => container.exec('bjr-probe', 'readyz') === 0, `${name}: readyz`);
      expect(`${name}: bjr-probe finds it alive`, container.exec('bjr-probe', 'livez'), 0);
      expect(`${name}: tini is process 1`, readFileSync(`/proc/${container.pid()}/comm`, 'utf8').trim(), 'tini');
    }
    expect(
      'bjr-probe finds what does not listen not alive',
      api.exec('env', 'METRICS_PORT=9', 'bjr-probe', 'livez'),
      1,
    );
    await runJobs(`http://127.0.0.1:${port}`, admin);
    process.kill(worker.pid(), 'SIGTERM');
    expect('the worker drains and ends well', await worker.ended, 0);
    expect('and says so', worker.log().includes('The worker has stopped'));
    process.kill(api.pid(), 'SIGTERM');
    expect('the API ends well', await api.ended, 0);
    const secrets = [env.SECRET_KEY_BASE, env.BJR_DATABASE_PASSWORD, admin];
    expect(
      'no log has a secret',
      secrets.filter((text) => (api.log() + worker.log()).includes(text)),
      [],
    );
    if (problems > 0) console.log(api.log(), worker.log());
  } finally {
    for (const container of containers) kill(container);
    await servers.stop();
  }
}

function kill(container: Container): void {
  try {
    process.kill(container.pid(), 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** An account for this database alone, as the MySQL image makes it. */
async function settingsFor(server: Record<string, string>) {
  const [port, user, password] = ['PORT', 'USERNAME', 'PASSWORD'].map(
    (name) => server[`BJR_TEST_DATABASE_${name}`] ?? '',
  );
  const own = secret();
  const connection = await mysql.createConnection({
    host: '127.0.0.1',
    port: Number(port),
    user: user ?? '',
    password: password ?? '',
  });
  await connection.query('CREATE DATABASE bjr');
  await connection.query("CREATE USER 'image'@'%' IDENTIFIED BY ?", [own]);
  await connection.query("GRANT ALL ON bjr.* TO 'image'@'%'");
  await connection.end();
  return {
    SECRET_KEY_BASE: secret(),
    BJR_DATABASE: 'bjr',
    BJR_DATABASE_PORT: port ?? '',
    BJR_DATABASE_USERNAME: 'image',
    BJR_DATABASE_PASSWORD: own,
  };
}

interface Service {
  command?: string[];
  user?: string;
  cap_add?: string[];
}

function serviceOf(service: string): Service {
  return parse(readFileSync('compose.yaml', 'utf8'), { merge: true }).services[service];
}

/** Each prints what is expected of it: who it runs as, what it cannot read, and no zombie once it has left a child behind. */
const JOBS: Record<string, [command: string, output: string]> = {
  'a command runs as job': ['id -un', 'job\n'],
  'in the home of job': ['pwd', '/home/job\n'],
  'and knows time zones': ['TZ=Asia/Tokyo date -d @0 +%H', '09\n'],
  'it reads neither environment nor state of the worker': [
    'cat /proc/[0-9]*/environ /var/lib/bjr/state/* 2>/dev/null | tr "\\0" "\\n" | grep -c -e SECRET_KEY -e DATABASE_PASSWORD; exit 0',
    '0\n',
  ],
  'a script runs with its own interpreter': ['#!/usr/local/bin/node\nconsole.log(6 * 7)', '42\n'],
  'what it leaves behind': ['setsid sh -c "(sleep 0.2 &) ; exit" & wait; sleep 1; echo left', 'left\n'],
  'is no zombie': ['grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l', '0\n'],
};

async function runJobs(api: string, password: string): Promise<void> {
  const { auth_token: token } = await call(`${api}/authenticate`, { username: 'admin', password });
  for (const [what, [command, output]] of Object.entries(JOBS)) {
    const { object: job } = await call(`${api}/job_api`, { name: what, cron: '0 0 1 1 *', command }, token);
    await call(`${api}/job_api/${job.id}/run_now`, {}, token);
    let run: { stdout: string; end_time: string } | undefined;
    await until(async () => {
      [run] = (await call(`${api}/job_api/${job.id}/runs`, null, token)).object;
      return Boolean(run?.end_time);
    }, what);
    expect(what, run?.stdout, output);
  }
}

interface Answer {
  auth_token: string;
  object: { id: number } & { stdout: string; end_time: string }[];
}

/** A body makes it a POST. */
async function call(url: string, body: object | null, token = ''): Promise<Answer> {
  const response = await fetch(url, {
    method: body ? 'POST' : 'GET',
    headers: { Authorization: token, 'Content-Type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

process.exitCode = await main();
