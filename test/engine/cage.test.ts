import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/platform/config.ts';
import { createPipes, type Pipe } from '../../src/runner/pipes.ts';
import type { Exit, Limits, Owner } from '../../src/runner/protocol.ts';
import { createJobUsers } from '../../src/worker/jobUser.ts';
import { createRunnerPool, type RunnerPool } from '../../src/worker/runnerPool.ts';
import { baseEnvironment, createEnvironment, type TestEnvironment } from '../support/environment.ts';
import { addJob } from '../support/jobs.ts';
import { isRunning, type Process, startProcess, until } from '../support/processes.ts';

const isRoot = process.getuid?.() === 0;
const rootOnly = (name: string) => (isRoot ? name : `${name} (skipped: only root starts processes as another user)`);

/** Users that no system has: what they find open is open to everybody. */
const ALICE: Owner = { uid: 61_001, gid: 61_001 };
const BOB: Owner = { uid: 61_002, gid: 61_002 };
const NO_LIMITS: Limits = { nice: 0, memoryBytesMax: 0, processesMax: 0, fileBytesMax: 0 };
const PATH = '/usr/local/bin:/usr/bin:/bin';

/** A command that tells of each file whether the kernel lets it open it. */
const tryToOpen = (files: string[]) =>
  files.map((file) => `if (exec 3< ${file}) 2>/dev/null; then echo "open: ${file}"; else echo closed; fi`).join('\n');
const closed = (files: string[]) => 'closed\n'.repeat(files.length);
const open = (files: string[]) => files.map((file) => `open: ${file}\n`).join('');
const secretsOf = (pid: number) => ['environ', 'fd', 'mem', 'maps', 'cwd/'].map((name) => `/proc/${pid}/${name}`);

describe('the settings', () => {
  const problemsOf = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    }
    return [];
  };
  const user = (name: string | null, uidBase: number | null, standing = { isProduction: false, uid: 0 }) =>
    problemsOf(() => createJobUsers({ name, uidBase }, standing));

  test('name one user, or one for each user, and not both', () => {
    expect(problemsOf(() => loadConfig({ JOB_USER: 'nobody', JOB_UID_BASE: '20000' }))).toEqual([
      expect.stringMatching(/^JOB_USER, JOB_UID_BASE: .*one only/),
    ]);
  });

  test('are told what is wrong with them', () => {
    const wrong = {
      JOB_UID_BASE: '999',
      JOB_UMASK: '0o27',
      JOB_NICE: '20',
      JOB_MEMORY_LIMIT_BYTES: '4096',
      JOB_PROCESSES_MAX: '-1',
      JOB_FILE_SIZE_LIMIT_BYTES: '1',
    };
    const problems = problemsOf(() => loadConfig(wrong));
    expect(problems.map((problem) => problem.split(':')[0])).toEqual(Object.keys(wrong));
  });

  test('have a umask of 0027 and no limits', () => {
    const { jobUmask, jobLimits } = loadConfig({ JOB_MEMORY_LIMIT_BYTES: '0' }).worker;
    expect({ jobUmask, jobLimits }).toEqual({ jobUmask: 0o027, jobLimits: NO_LIMITS });
  });

  test('need root for another user, and in production root needs another user or says that it wants none', () => {
    const other = { isProduction: false, uid: 1000 };
    expect(user('nobody', null, other)).toEqual([expect.stringMatching(/^JOB_USER: only a worker that is root/)]);
    expect(user(null, 20_000, other)).toEqual([expect.stringMatching(/^JOB_UID_BASE: only a worker that is root/)]);
    expect(user(null, null, other)).toEqual([]);
    expect(user(null, null, { isProduction: true, uid: 1000 })).toEqual([]);
    expect(user(null, null, { isProduction: true, uid: 0 })).toEqual([expect.stringMatching(/JOB_USER=root/)]);
    expect(user('root', null, { isProduction: true, uid: 0 })).toEqual([]);
    expect(user(null, 20_000, { isProduction: true, uid: 0 })).toEqual([]);
    expect(user('no-such-user', null)).toEqual([expect.stringMatching(/^JOB_USER: .*'no-such-user'/)]);
  });

  test('make a user of the system, with a home that is there, or one for each user', () => {
    const standing = { isProduction: false, uid: 0 };
    const nobody = createJobUsers({ name: 'nobody', uidBase: null }, standing)(1);
    expect(nobody).toMatchObject({ name: 'nobody', owner: { uid: expect.any(Number), gid: expect.any(Number) } });
    expect(nobody.owner?.uid).toBeGreaterThan(0);
    expect(statSync(nobody.home).isDirectory()).toBe(true);
    expect(createJobUsers({ name: null, uidBase: 61_000 }, standing)(2)).toEqual({
      name: '61002',
      home: '/',
      owner: BOB,
    });
  });
});

describe.runIf(isRoot)(rootOnly('a worker that is root'), () => {
  let env: TestEnvironment | undefined;
  let worker: Process | undefined;
  afterEach(async () => {
    await worker?.end('SIGKILL');
    await env?.close();
    [env, worker] = [undefined, undefined];
  });

  /** What a job's command prints when a worker with these settings runs it. */
  async function outputOf(settings: Record<string, string>, command: (workerPid: number) => string): Promise<string> {
    const { JOB_DIRECTORY: _, ...base } = baseEnvironment();
    env = await createEnvironment({
      ...settings,
      JOB_DIRECTORY: '',
      STATE_DIRECTORY: `${base['STATE_DIRECTORY']}-cage`,
    });
    worker = startProcess('worker', env.env);
    await worker.line((line) => line['msg'] === 'The worker is ready');
    const id = await addJob(env, { userId: 2, command: command(worker.pid), cron: '0 0 1 1 *' });
    const rows = () =>
      env?.query<{ stdout: string }>(
        'SELECT stdout FROM job_runs JOIN run_outputs ON run_id = job_runs.id WHERE job_id = ?',
        [id],
      );
    await until(async () => ((await rows())?.length ?? 0) > 0, 'the run');
    return (await rows())?.[0]?.stdout ?? '';
  }

  test('runs commands of each user as an OS user of its own, with its umask and niceness', async () => {
    const settings = { JOB_UID_BASE: '61000', JOB_UMASK: '0077', JOB_NICE: '7', RUNNERS: '1' };
    const tell =
      'id -u; id -g; grep Groups /proc/self/status | tr -d "\\t "; umask; nice; pwd; echo $HOME $USER $LOGNAME';
    expect(await outputOf(settings, () => tell)).toBe('61002\n61002\nGroups:\n0077\n7\n/\n/ 61002 61002\n');
  });

  test('runs them as the user that it is told', async () => {
    const tell = 'id -un; id -G; umask; echo $USER';
    const groups = spawnSync('id', ['-g', 'nobody'], { encoding: 'utf8' }).stdout;
    expect(await outputOf({ JOB_USER: 'nobody', RUNNERS: '1' }, () => tell)).toBe(`nobody\n${groups}0027\nnobody\n`);
  });

  test('shows them nothing of itself, of its runners or of its spool', async () => {
    const spool = `${tmpdir()}/bjr-state-${process.pid}-cage/spool`;
    let files: string[] = [];
    const stdout = await outputOf({ JOB_UID_BASE: '61000', RUNNERS: '1' }, (pid) => {
      const runner = childrenOf(pid)[0] ?? 0;
      files = [...secretsOf(pid), ...secretsOf(runner), spool, directoryOf(runner)];
      return tryToOpen(files);
    });
    expect(stdout).toBe(closed(files));
    expect(tell(files)).toBe(open(files));
  });

  test('does not start in production without an answer to who runs commands', async () => {
    const settings = { ...baseEnvironment(), NODE_ENV: 'production', SECRET_KEY_BASE: 'x'.repeat(32) };
    const refused = startProcess('worker', settings);
    expect(await refused.ended).toBe(1);
    expect(refused.text.join('\n')).toMatch(/JOB_USER: the worker is root/);
  });

  /** The same, asked by root: each file is there to be opened. */
  const tell = (files: string[]) => spawnSync('/bin/bash', ['-c', tryToOpen(files)], { encoding: 'utf8' }).stdout;
});

describe.runIf(isRoot)(rootOnly('a command with a user of its own'), () => {
  let pool: RunnerPool;
  let folder: string;
  let runId = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bjr-cage-test-'));
    chmodSync(folder, 0o777);
    pool = createRunnerPool(1, pino({ level: 'silent' }));
    await pool.ready();
  });
  afterAll(async () => {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });

  interface Options {
    owner?: Owner;
    limits?: Partial<Limits>;
    env?: Record<string, string>;
    cwd?: string;
    timeLimit?: { timeoutMs: number; graceMs: number };
    onStarted?: (pid: number, runId: number) => void;
  }

  function execute(
    command: string,
    { owner = ALICE, limits, env, onStarted, ...options }: Options = {},
  ): Promise<Exit> {
    const id = ++runId;
    const request = { runId: id, command, cwd: folder, outputBytesMax: 4096, owner, ...options };
    const all = { ...request, env: { PATH, ...env }, limits: { ...NO_LIMITS, ...limits } };
    return pool.execute(all, (pid) => onStarted?.(pid, id));
  }

  /** Resolves when it has printed something. */
  async function begin(command: string, owner: Owner) {
    const { promise: started, resolve } = Promise.withResolvers<[number, number]>();
    const { promise: printed, resolve: onOutput } = Promise.withResolvers<unknown>();
    const [id, request] = [++runId, { command, cwd: folder, outputBytesMax: 4096, owner, env: { PATH, SECRET: 'x' } }];
    const finished = pool.execute({ runId: id, ...request }, (pid) => resolve([pid, id]), onOutput);
    const [pid] = await started;
    await printed;
    return { pid, id, finished };
  }

  test.each([
    ['a command', 'echo hi; sleep 300; true'],
    ['a script', '#!/bin/bash\necho hi; sleep 300; true'],
  ])('is closed to those of another one, and open to those of its own: %s', async (_, command) => {
    const run = await begin(command, ALICE);
    const scripts = readdirSync(directoryOf(runnerPid())).filter((name) => name.startsWith('script-'));
    expect(scripts).toHaveLength(command.startsWith('#!') ? 1 : 0);
    const files = [
      ...['environ', 'fd', 'maps', 'fd/1', 'fd/2'].map((name) => `/proc/${run.pid}/${name}`),
      ...[1, 2].map((fd) => readlinkSync(`/proc/${run.pid}/fd/${fd}`)),
      ...scripts.map((name) => join(directoryOf(runnerPid()), name, 'command')),
    ];
    const hers = files.filter((file) => !file.includes('/pipe-') || statSync(file).uid === ALICE.uid);
    expect((await execute(tryToOpen(files), { owner: BOB })).stdout).toBe(closed(files));
    expect(hers).toEqual(files);
    // By their names too her pipes lie in a folder that she may enter once a script has been in it.
    await execute('#!/bin/sh\ntrue');
    expect((await execute(tryToOpen(files), { owner: BOB })).stdout).toBe(closed(files));
    expect((await execute(tryToOpen(files))).stdout).toBe(open(files));
    expect((await execute(tryToOpen([directoryOf(runnerPid())]))).stdout).toBe('closed\n');
    pool.kill(run.id, 'canceled', 0);
    await run.finished;
  });

  test('may open its output by name, and have an interpreter of its own', async () => {
    const command = 'echo one > /dev/stderr; sh -c "echo two > /dev/stdout"';
    for (const text of [command, `#!/bin/sh\n${command}`])
      expect(await execute(text)).toMatchObject({ exitCode: 0, stdout: 'two\n', stderr: 'one\n' });
  });

  test('takes turns with those of other users, with the same pipes', async () => {
    for (const owner of [ALICE, BOB, ALICE, BOB]) {
      const { stdout } = await execute('id -u > /dev/stdout', { owner });
      expect(stdout).toBe(`${owner.uid}\n`);
    }
  });

  test('starts in no directory that its user could not enter, though root could', async () => {
    const cwd = join(folder, 'closed', 'open');
    mkdirSync(cwd, { recursive: true });
    chmodSync(join(folder, 'closed'), 0o700);
    const why = { exitCode: 126, errorMessage: `Cannot enter the job directory '${cwd}': permission denied.` };
    expect(await execute('cat /etc/hostname', { cwd })).toMatchObject(why);
    chmodSync(join(folder, 'closed'), 0o755);
    expect(await execute('pwd', { cwd })).toMatchObject({ exitCode: 0, stdout: `${cwd}\n` });
  });

  test('can neither stop nor trace its runner', async () => {
    const { stdout } = await execute(`kill -STOP ${runnerPid()} 2>/dev/null || echo refused`);
    expect(stdout).toBe('refused\n');
  });

  describe('has limits', () => {
    test('of memory', async () => {
      const command = 'head -c 300M /dev/zero | tail';
      const exit = await execute(command, { limits: { memoryBytesMax: 200 * 2 ** 20 } });
      expect(exit.exitCode).not.toBe(0);
      expect(exit.stderr).toMatch(/memory/i);
      expect(
        await execute('head -c 20M /dev/zero | tail', { limits: { memoryBytesMax: 200 * 2 ** 20 } }),
      ).toMatchObject({
        exitCode: 0,
      });
    });

    test('of processes', async () => {
      const timeLimit = { timeoutMs: 1500, graceMs: 0 };
      const { stderr } = await execute('sleep 60 & sleep 60 & sleep 60 & wait', {
        owner: { uid: 61_003, gid: 61_003 },
        limits: { processesMax: 2 },
        timeLimit,
      });
      expect(stderr).toContain('Resource temporarily unavailable');
    });

    test('of the size of files', async () => {
      const file = join(folder, 'large');
      const exit = await execute(`head -c 100000 /dev/zero > ${file}`, { limits: { fileBytesMax: 8192 } });
      expect(exit.exitCode).not.toBe(0);
      expect(statSync(file).size).toBe(8192);
    });

    test('that cannot be set: it is not started', async () => {
      const other = createRunnerPool(1, pino({ level: 'silent' }));
      await other.ready();
      const runner = runnerPids().find((pid) => pid !== runnerPid()) ?? 0;
      spawnSync('prlimit', ['--pid', String(runner), '--fsize=65536:65536']);
      const limits = { ...NO_LIMITS, fileBytesMax: 131_072 };
      const request = { runId: 1, command: 'echo hi', env: { PATH }, cwd: '/', outputBytesMax: 1024, owner: ALICE };
      const exit = await other.execute({ ...request, limits }, () => {});
      expect(exit).toMatchObject({
        exitCode: 126,
        stdout: '',
        errorMessage: 'The command was not started: the limit of file size could not be set.',
      });
      await other.close();
    });

    test('that its variables cannot get round', async () => {
      const file = join(folder, 'bash-env');
      writeFileSync(file, 'ulimit -f >&2');
      const limits = { fileBytesMax: 8192, nice: 3 };
      expect(await execute(':', { limits, env: { BASH_ENV: file } })).toMatchObject({ exitCode: 0, stderr: '8\n' });
      const { stderr, stdout } = await execute('echo $LD_PRELOAD', { limits, env: { LD_PRELOAD: '/no/such.so' } });
      // The linker complains once, at the command itself.
      expect(stderr.match(/no\/such\.so/g)).toHaveLength(1);
      expect(stdout).toBe('/no/such.so\n');
    });

    test('and an interpreter that is missing: it is told so all the same', async () => {
      const limits = { nice: 1 };
      expect(await execute('#!/no/such/thing\n', { limits })).toMatchObject({
        exitCode: 127,
        errorMessage: "Interpreter '/no/such/thing' not found: there is no such file.",
      });
      const file = join(folder, 'plain');
      writeFileSync(file, 'x', { mode: 0o644 });
      expect(await execute(`#!${file}\n`, { limits })).toMatchObject({
        exitCode: 126,
        errorMessage: `Interpreter '${file}' is not executable: permission denied.`,
      });
    });

    test('and its words, exit code and niceness', async () => {
      const exit = await execute('#!/bin/bash\necho "$# $(nice)"; exit 9', {
        limits: { nice: 5, memoryBytesMax: 2 ** 31 },
      });
      expect(exit).toMatchObject({ exitCode: 9, stdout: '0 5\n', stderr: '', errorMessage: '' });
    });
  });

  describe('and a process that has left its group', () => {
    const token = () => ({ BJR_RUN_TOKEN: `token-${runId}-${process.pid}` });
    const leave = (file: string) => `setsid sleep 300 > /dev/null 2>&1 & echo $! > ${file}`;
    const escapedIn = (file: string) => Number(readFileSync(file, 'utf8'));

    test('is ended with it at its time limit', async () => {
      const file = join(folder, 'late');
      // Long enough for the escape on a slow machine.
      const timeLimit = { timeoutMs: 4000, graceMs: 0 };
      const exit = await execute(`${leave(file)}; sleep 300`, { env: token(), timeLimit });
      expect(exit.killReason).toBe('timed_out');
      expect(isRunning(escapedIn(file))).toBe(false);
    });

    const reasons = ['canceled', 'drained', 'lease_lost'] as const;
    test.each(reasons)('is ended with it (%s), and the daemons of another run are not', async (reason) => {
      const [mine, other] = [join(folder, reason), join(folder, `another, ${reason}`)];
      await execute(leave(`"${other}"`), { env: { BJR_RUN_TOKEN: 'another' } });
      const exit = await execute(`${leave(mine)}; touch ${mine}.there; sleep 300`, {
        env: token(),
        onStarted: (_, id) => {
          const isThere = () => spawnSync('test', ['-e', `${mine}.there`]).status === 0;
          void until(isThere, 'the escape').then(() => pool.kill(id, reason, 0));
        },
      });
      expect(exit.killReason).toBe(reason);
      expect(isRunning(escapedIn(mine))).toBe(false);
      expect(isRunning(escapedIn(other))).toBe(true);
      process.kill(escapedIn(other), 'SIGKILL');
    });

    test('is left alone when it ends by itself', async () => {
      const file = join(folder, 'daemon');
      expect(await execute(leave(file), { env: token() })).toMatchObject({ exitCode: 0 });
      expect(isRunning(escapedIn(file))).toBe(true);
      process.kill(escapedIn(file), 'SIGKILL');
    });

    test('is found where root may not trace', async () => {
      const escapees = fileURLToPath(new URL('../../src/runner/escapees.ts', import.meta.url));
      const escaped = spawn('sleep', ['300'], { ...BOB, env: { BJR_RUN_TOKEN: 'held' }, stdio: 'ignore' });
      const run = JSON.stringify({ token: 'held', owner: BOB });
      const script = `import { endEscapees } from '${escapees}'; await endEscapees(${run});`;
      const node = [process.execPath, '--input-type=module', '--eval', script];
      const without = ['--bounding-set=-all,+dac_override,+kill,+setgid,+setuid', '--'];
      const { status, stderr } = spawnSync('setpriv', [...without, ...node], { encoding: 'utf8' });
      expect({ status, stderr }).toMatchObject({ status: 0 });
      await ended(escaped);
      expect(escaped.signalCode).toBe('SIGKILL');
    });
  });
});

describe.runIf(isRoot)(rootOnly('a pipe'), () => {
  const directory = join(tmpdir(), `bjr-cage-pipes-${process.pid}`);
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const nameOf = ({ writeFd }: Pipe) => readlinkSync(`/proc/self/fd/${writeFd}`);

  test('belongs to the user of its command, and is taken from the one before', async () => {
    const pipes = createPipes(directory);
    const names: string[] = [];
    for (const owner of [ALICE, BOB]) {
      const pipe = take(pipes.open(() => {}, owner));
      const { uid, gid, mode } = statSync(nameOf(pipe));
      expect({ uid, gid, mode: mode & 0o777 }).toEqual({ ...owner, mode: 0o600 });
      names.push(nameOf(pipe));
      chmodSync(nameOf(pipe), 0o666);
      await giveBack(pipe);
    }
    expect(names[1]).toBe(names[0]);
  });

  test.each([
    ['reads', constants.O_RDONLY | constants.O_NONBLOCK],
    ['writes', constants.O_WRONLY | constants.O_NONBLOCK],
  ])('that somebody still %s goes to nobody else', async (_, flags) => {
    const pipes = createPipes(directory);
    const pipe = take(pipes.open(() => {}, ALICE));
    const name = nameOf(pipe);
    await giveBack(pipe);
    // Without a reader it cannot be opened to write only.
    const both = openSync(name, constants.O_RDWR);
    const held = openSync(name, flags);
    closeSync(both);
    const next = take(pipes.open(() => {}, BOB));
    expect(nameOf(next)).not.toBe(name);
    await giveBack(next);
    closeSync(held);
  });

  async function giveBack(pipe: Pipe): Promise<void> {
    pipe.handOver();
    await pipe.ended;
    pipe.close();
  }

  function take(pipe: Pipe | null): Pipe {
    if (!pipe) throw new Error('There are no named pipes here');
    return pipe;
  }
});

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(pid), '-f', 'bjr-runner-'], { encoding: 'utf8' });
  return stdout.trim().split('\n').filter(Boolean).map(Number);
}

const runnerPids = () => childrenOf(process.pid);
const runnerPid = () => runnerPids()[0] ?? 0;
/** A runner's private directory is its last argument. */
const directoryOf = (runner: number) => readFileSync(`/proc/${runner}/cmdline`, 'utf8').split('\0').at(-2) ?? '';

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}
