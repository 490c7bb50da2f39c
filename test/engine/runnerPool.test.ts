import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasLivingMember } from '../../src/runner/groupMembers.ts';
import { monotonicMs } from '../../src/runner/protocol.ts';
import { type CommandSettings, createRunnerPool, type RunnerPool } from '../../src/worker/runnerPool.ts';
import { COORDINATOR, readPids } from '../support/coordinator.ts';
import { isRunning, until } from '../support/processes.ts';

const IGNORES_TERM = "trap '' TERM; echo trapped; sleep 300 & sleep 300";
const PARENT = 1;
const SESSION = 3;

/** A field of /proc/PID/stat: proc(5)'s number less 3. */
function field(pid: number, index: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[index]);
}

const parentOf = (pid: number) => field(pid, PARENT);
/** A runner's private directory is its last argument. */
const directoryOf = (runner: number) => readFileSync(`/proc/${runner}/cmdline`, 'utf8').split('\0').at(-2) ?? '';
const environmentOf = (pid: number) => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
const filesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));

describe('a pool', () => {
  let pool: RunnerPool;
  let logged: Record<string, unknown>[];
  let runId = 0;

  const log = pino(
    new Writable({
      write(line, _, done) {
        logged.push(JSON.parse(String(line)) as Record<string, unknown>);
        done();
      },
    }),
  );
  const create = (size: number, settings: CommandSettings = {}) => {
    pool = createRunnerPool(size, log, settings);
  };
  const request = (command: string) => ({
    runId: ++runId,
    command,
    env: { PATH: '/usr/bin:/bin' },
    cwd: '/tmp',
    outputBytesMax: 1024,
  });
  /** Resolves when the command has started, and one that ignores TERM when it does. */
  const begin = async (command: string) => {
    const asked = request(command);
    const { promise: started, resolve } = Promise.withResolvers<number>();
    const { promise: trapped, resolve: onOutput } = Promise.withResolvers<unknown>();
    const finished = pool.execute(asked, resolve, onOutput);
    const pid = await started;
    if (command === IGNORES_TERM) await trapped;
    return { id: asked.runId, pid, runner: parentOf(pid), finished };
  };

  beforeEach(() => {
    logged = [];
  });
  afterEach(() => pool.close(0));

  test('gives a command to the runner with the fewest', async () => {
    create(2);
    await pool.ready();
    const runs = [
      await begin('sleep 300'),
      await begin('sleep 300'),
      await begin('sleep 300'),
      await begin('sleep 300'),
    ];
    const [a, b] = new Set(runs.map(({ runner }) => runner));
    expect(runs.map(({ runner }) => runner)).toEqual([a, b, a, b]);
    pool.kill(runs[1]?.id ?? 0, 'canceled', 0);
    await runs[1]?.finished;
    expect((await begin('sleep 300')).runner).toBe(b);
  });

  test('lets a command wait for a runner that loads, and drops one that is to end before', async () => {
    create(1);
    const [first, dropped] = [pool.execute(request('echo hi'), () => {}), request('echo never')];
    const second = pool.execute(dropped, () => expect.unreachable('it was started'));
    pool.kill(dropped.runId, 'canceled', 0);
    expect(await second).toMatchObject({ killReason: 'canceled', stdout: '', exitCode: 137 });
    expect(await first).toMatchObject({ exitCode: 0, stdout: 'hi\n' });
  });

  test('starts no more than it has slots; what waits can be taken back, what runs cannot', async () => {
    create(2, { slots: 1 });
    const first = await begin('sleep 300');
    const [next, dropped] = [request('echo next'), request('echo never')];
    const { promise: startedNext, resolve } = Promise.withResolvers<boolean>();
    const waits = pool.execute(next, () => resolve(isRunning(first.pid)));
    const withdrawn = pool.execute(dropped, () => expect.unreachable('it was started'));
    for (const { runId: id } of [dropped, { runId: first.id }]) pool.withdraw(id);
    expect(await withdrawn).toMatchObject({ isWithdrawn: true, stdout: '' });
    expect(isRunning(first.pid)).toBe(true);
    pool.kill(first.id, 'canceled', 0);
    expect(await startedNext).toBe(false);
    expect(await waits).toMatchObject({ stdout: 'next\n' });
    expect(await first.finished).not.toHaveProperty('isWithdrawn');
  });

  test('takes back what more would wait than it keeps: it has not failed', async () => {
    create(1, { slots: 1 });
    const execute = () => pool.execute(request('true'), () => {});
    const waiting = Array.from({ length: 1000 }, execute);
    expect(await execute()).toMatchObject({ isWithdrawn: true });
    await pool.close();
    expect((await Promise.all(waiting)).some((exit) => exit.isWithdrawn)).toBe(false);
  });

  test('starts a command at its time; until then it can be ended and taken back', async () => {
    create(1);
    await pool.ready();
    const [timed, ended, dropped] = [request('echo hi'), request('echo never'), request('echo never')];
    const startAtMs = monotonicMs() + 300;
    const never = () => expect.unreachable('it was started');
    const exits = [
      pool.execute({ ...timed, startAtMs }, () => {}),
      pool.execute({ ...ended, startAtMs }, never),
      pool.execute({ ...dropped, startAtMs }, never),
    ];
    pool.kill(ended.runId, 'canceled', 0);
    pool.withdraw(dropped.runId);
    const [exit, canceled, withdrawn] = await Promise.all(exits);
    expect(canceled).toMatchObject({ killReason: 'canceled', stdout: '' });
    expect(withdrawn).toMatchObject({ isWithdrawn: true });
    expect(exit).toMatchObject({ stdout: 'hi\n' });
    expect(exit?.startedAtMs).toBeGreaterThanOrEqual(startAtMs);
  });

  test('when closed ends its commands and its runners, and starts nothing more', async () => {
    create(1);
    const run = await begin(IGNORES_TERM);
    await pool.close(100);
    expect(await run.finished).toMatchObject({ exitCode: 137, killReason: 'drained' });
    expect([run.pid, run.runner].filter(isRunning)).toEqual([]);
    expect(await pool.execute(request('true'), () => {})).toMatchObject({ errorMessage: 'The worker is stopping.' });
  });

  test('replaces a runner that died, later each time, and clears up after it', async () => {
    create(1);
    for (let death = 0; death < 3; death++) {
      const run = await begin(IGNORES_TERM);
      const directory = directoryOf(run.runner);
      process.kill(run.runner, 'SIGKILL');
      expect((await run.finished).errorMessage).toContain('was ended by SIGKILL');
      await until(() => !isRunning(run.pid), 'the orphan to be ended');
      expect(existsSync(directory)).toBe(false);
    }
    expect(logged.map(({ pauseMs }) => pauseMs)).toEqual([100, 200, 400]);
    expect(await pool.execute(request('echo again'), () => {})).toMatchObject({ stdout: 'again\n' });
  });

  test('ends what has left its group when its runner dies', async () => {
    create(1);
    const token = { BJR_RUN_TOKEN: `token-${process.pid}` };
    const { promise: escaped, resolve } = Promise.withResolvers<number>();
    const asked = { ...request('setsid sleep 300 & echo $!; sleep 300'), env: { ...request('').env, ...token } };
    const { promise: pid, resolve: onStarted } = Promise.withResolvers<number>();
    const finished = pool.execute(asked, onStarted, ({ text }) => resolve(Number(text)));
    const [daemon, command] = [await escaped, await pid];
    process.kill(parentOf(command), 'SIGKILL');
    await finished;
    expect([daemon, command].filter(isRunning)).toEqual([]);
  });

  test('hands on what a runner says; without named pipes, output comes by plain ones', async () => {
    create(1);
    const run = await begin('sleep 300');
    rmSync(directoryOf(run.runner), { recursive: true });
    writeFileSync(directoryOf(run.runner), 'in the way');
    const commands = Array.from({ length: 10 }, () => pool.execute(request('echo hi; echo oops >&2'), () => {}));
    for (const exit of await Promise.all(commands)) expect(exit).toMatchObject({ stdout: 'hi\n', stderr: 'oops\n' });
    // By a way of its own, which may be slower.
    const complaint = () => logged.find(({ line }) => String(line).includes('No named pipes'));
    await until(() => complaint() !== undefined, 'what it says');
    expect(complaint()).toMatchObject({ runner: run.runner });
    rmSync(directoryOf(run.runner));
  });

  test('goes on when the system has cleared its directory away', async () => {
    create(1);
    const run = await begin('sleep 300');
    rmSync(directoryOf(run.runner), { recursive: true });
    const commands = ['#!/bin/sh\necho hi', 'echo hi > /dev/stderr; echo hi'].map((line) =>
      pool.execute(request(line), () => {}),
    );
    for (const exit of await Promise.all(commands)) expect(exit).toMatchObject({ exitCode: 0, stdout: 'hi\n' });
    expect(logged).toEqual([]);
  });

  test('keeps its runners in a session of their own, and signals do not end them', async () => {
    create(1);
    const { runner } = await begin('sleep 300');
    expect(field(runner, SESSION)).toBe(runner);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(runner, signal);
    expect((await begin('sleep 300')).runner).toBe(runner);
  });
});

describe('a coordinator', () => {
  let coordinator: ChildProcess;

  /** In a group of its own, with a secret in its environment and files open. Returns the pids of its commands. */
  async function startCoordinator(commands: string[]): Promise<number[]> {
    // Node keeps the low ones to itself.
    const open = 'exec 5< /etc/hostname 150< /etc/hostname; exec "$@"';
    coordinator = spawn('/bin/bash', ['-c', open, 'bash', process.execPath, COORDINATOR, ...commands], {
      env: { PATH: '/usr/bin:/bin', BJR_DATABASE_PASSWORD: 'secret' },
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return readPids(coordinator, commands.length);
  }

  afterEach(() => coordinator.kill('SIGKILL'));

  test.each([
    ['itself', 1],
    ['its whole group', -1],
  ])('killed with -9 (%s) leaves no command, no runner and no file behind', async (_, sign) => {
    const commands = await startCoordinator([IGNORES_TERM, "#!/bin/sh\ntrap '' TERM; sleep 300"]);
    const runner = parentOf(commands[0] ?? 0);
    const directory = directoryOf(runner);
    expect(existsSync(directory)).toBe(true);
    process.kill(sign * (coordinator.pid ?? 0), 'SIGKILL');
    await until(() => ![...commands, runner].some(isRunning), 'all of them to end');
    for (const pid of commands) expect(hasLivingMember(pid)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  });

  test('shows its secrets and open files neither to a runner nor to a command', async () => {
    const [command = 0] = await startCoordinator(['sleep 300; true']);
    const runner = parentOf(command);
    expect(environmentOf(coordinator.pid ?? 0)).toContain('BJR_DATABASE_PASSWORD=secret');
    expect(filesOf(coordinator.pid ?? 0)).toContain('/etc/hostname');
    expect(environmentOf(runner).filter((entry) => !entry.startsWith('NODE_CHANNEL_'))).toEqual([]);
    expect(environmentOf(command)).toEqual(['PATH=/usr/bin:/bin']);
    expect(filesOf(runner).filter((file) => /^\/(?!dev\/null|proc|tmp\/bjr-runner)/.test(file))).toEqual([]);
    expect(filesOf(command).map((file) => file.replace(/^\/.*\/pipe-\d+$/, 'pipe'))).toEqual([
      '/dev/null',
      'pipe',
      'pipe',
    ]);
  });
});
