import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seedFirstStart } from '../../src/services/seed.ts';
import { startApi } from './api.ts';
import type { TestEnvironment } from './environment.ts';
import { findPythonTools } from './pythonTools.ts';

const VERSION = '4.32.5';
const SETTINGS = fileURLToPath(new URL('../../tools/schemathesis.toml', import.meta.url));
/** Beyond what a fuzzer guesses, so that it neither deletes the user that it signed in as nor changes its password. */
const OWN_ID = 7_000_001;

/** Null where it cannot be had. */
export function findSchemathesis(): string | null {
  const programs = findPythonTools('schemathesis', [`schemathesis==${VERSION}`]);
  return programs && join(programs, 'schemathesis');
}

export interface FuzzResult {
  /** schemathesis' exit code: 0 is nothing found. */
  exitCode: number;
  /** What it printed. */
  report: string;
}

/**
 * Every operation of the description, as one user, with schemathesis' checks. `args`: more of its options.
 * @throws Error the user could not sign in with the same token at the end: most of what was tried was then a 401
 */
export async function fuzz(
  env: TestEnvironment,
  { username, args, program }: { username: string; args: string[]; program: string },
): Promise<FuzzResult> {
  await seedFirstStart(env.db, env.config.seed);
  await giveOwnId(env, username);
  const api = await startApi(env, { LOGIN_ATTEMPTS_MAX: '1000000' });
  const work = mkdtempSync(join(tmpdir(), 'bjr-fuzz-'));
  try {
    const call = await api.signIn(username);
    const { body } = await api.call('POST', '/authenticate', { body: { username, password: 'password1234' } });
    // A method that a path does not have is a 404, as every route that is not served: the first BJR's clients know no 405.
    const checks = ['--checks', 'all', '--exclude-checks', 'unsupported_method'];
    const options = [...checks, '--header', `Authorization: ${body.auth_token}`, '--no-color'];
    const child = spawn(program, ['--config-file', SETTINGS, 'run', `${api.url}/openapi.json`, ...options, ...args], {
      cwd: work,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let report = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        report += text;
      });
    }
    const exitCode = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    const { status } = await call('GET', '/timezones');
    if (status !== 200) throw new Error(`The token of ${username} ended during the run: ${status}`);
    return { exitCode, report };
  } finally {
    await api.process.end('SIGTERM');
    rmSync(work, { recursive: true, force: true });
  }
}

async function giveOwnId(env: TestEnvironment, username: string): Promise<void> {
  const [{ id } = { id: 0 }] = await env.query<{ id: number }>('SELECT id FROM users WHERE username = ?', [username]);
  await env.query('UPDATE users SET id = ? WHERE id = ?', [OWN_ID, id]);
  for (const table of ['jobs', 'folders', 'tags']) {
    await env.query('UPDATE ?? SET user_id = ? WHERE user_id = ?', [table, OWN_ID, id]);
  }
}
