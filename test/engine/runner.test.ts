import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Exit } from '../../src/runner/protocol.ts';
import { createRunnerPool, type RunnerPool } from '../../src/worker/runnerPool.ts';
import { isRunning, until } from '../support/processes.ts';

const log = pino({ level: 'silent' });
let pool: RunnerPool;
let folder: string;
let runId = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bjr-runner-test-'));
  pool = createRunnerPool(1, log);
  await pool.ready();
});
afterAll(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Options {
  env?: Record<string, string>;
  cwd?: string;
  outputBytesMax?: number;
  timeLimit?: { timeoutMs: number; graceMs: number };
  onStarted?: (pid: number, runId: number) => void;
}

const ENV = { PATH: '/usr/local/bin:/usr/bin:/bin' };

function execute(
  command: string,
  { env = ENV, cwd = folder, outputBytesMax = 1024, onStarted, ...limits }: Options = {},
): Promise<Exit> {
  const id = ++runId;
  return pool.execute({ runId: id, command, env, cwd, outputBytesMax, ...limits }, (pid) => onStarted?.(pid, id));
}

describe('a command', () => {
  test.each([
    ['true', 0, ''],
    ['exit 7', 7, ''],
    ['kill -KILL $$', 137, 'Terminated by SIGKILL.'],
    ['kill -TERM $$', 143, 'Terminated by SIGTERM.'],
    ['no-such-program', 127, ''],
  ])('%s ends with %i', async (command, exitCode, errorMessage) => {
    expect(await execute(command)).toMatchObject({ exitCode, errorMessage, killReason: null });
  });

  test.each([
    ['#!/bin/sh\necho "$0" | grep -c command', '1\n'],
    ['#! /usr/bin/env bash\necho $((6*7))', '42\n'],
    ['#!/usr/bin/awk -f\nBEGIN { print "awk" }', 'awk\n'],
    ['#!/usr/bin/env -S awk -f\nBEGIN { print "split" }', 'split\n'],
  ])('with an interpreter of its own: %j', async (command, stdout) => {
    expect(await execute(command)).toMatchObject({ exitCode: 0, stdout });
  });

  test('leaves no script behind', async () => {
    await execute('#!/bin/sh\ntrue');
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('script-'))).toEqual([]);
  });

  test('with an interpreter that is missing is told so', async () => {
    expect(await execute('#!/no/such/thing\n')).toMatchObject({
      exitCode: 127,
      errorMessage: "Interpreter '/no/such/thing' not found: there is no such file.",
    });
    expect(await execute('#!/bin/sh\r\necho web form')).toMatchObject({ exitCode: 0, stdout: 'web form\n' });
  });

  test('with an interpreter that is not executable is told so', async () => {
    const file = join(folder, 'plain');
    writeFileSync(file, 'x');
    chmodSync(file, 0o644);
    expect(await execute(`#!${file}\n`)).toMatchObject({ exitCode: 126, errorMessage: expect.stringContaining(file) });
  });

  test.each([
    ['/no/such/directory', 'it does not exist'],
    ['/etc/passwd', 'it is not a directory'],
  ])('in a directory that cannot be entered (%s) is told so', async (cwd, reason) => {
    expect(await execute('true', { cwd })).toMatchObject({
      exitCode: 126,
      errorMessage: `Cannot enter the job directory '${cwd}': ${reason}.`,
    });
  });

  test('sees its own environment and nothing else', async () => {
    const { stdout } = await execute('tr "\\0" "\\n" < /proc/$$/environ', { env: { A: 'b c', PATH: '/bin:/usr/bin' } });
    expect(stdout.trim().split('\n').toSorted()).toEqual(['A=b c', 'PATH=/bin:/usr/bin']);
  });

  test('has an empty standard input that is no socket, and a group of its own', async () => {
    const { stdout } = await execute('cat; readlink /proc/self/fd/0; ps -o pgid= -p $$ | tr -d " "; echo $$');
    const [input, group, pid] = stdout.split('\n');
    expect(input).toBe('/dev/null');
    expect(group).toBe(pid);
  });

  test('may open its output by name', async () => {
    const command = 'echo one > /dev/stderr; sh -c "echo two > /dev/stdout"; echo three | tee /dev/stderr >/dev/null';
    expect(await execute(command)).toMatchObject({ exitCode: 0, stdout: 'two\n', stderr: 'one\nthree\n' });
  });

  test('has no open files but its own three', async () => {
    const { stdout } = await execute('ls /proc/$$/fd; true');
    expect(stdout).toBe('0\n1\n2\n');
  });
});

describe('output', () => {
  test('is kept whole up to the limit', async () => {
    const { stdout, stdoutTruncated, stdoutBytes } = await execute('head -c 1024 /dev/zero | tr "\\0" a');
    expect(stdout).toBe('a'.repeat(1024));
    expect({ stdoutTruncated, stdoutBytes }).toEqual({ stdoutTruncated: false, stdoutBytes: 1024 });
  });

  test('beyond it is kept as head and tail around a mark', async () => {
    const { stdout, stdoutTruncated, stdoutBytes } = await execute('seq 1 1000');
    const all = Array.from({ length: 1000 }, (_, index) => `${index + 1}\n`).join('');
    expect(stdout).toBe(`${all.slice(0, 512)}\n[… ${all.length - 1024} bytes left out …]\n${all.slice(-512)}`);
    expect({ stdoutTruncated, stdoutBytes }).toEqual({ stdoutTruncated: true, stdoutBytes: all.length });
  });

  test('is not cut inside a character', async () => {
    const { stdout } = await execute('for i in $(seq 1000); do printf "x€"; done', { outputBytesMax: 1001 });
    expect(stdout).not.toContain('\uFFFD');
    expect(stdout.replaceAll(/[x€]/g, '')).toMatch(/^\n\[… \d+ bytes left out …\]\n$/);
  });

  test('that is no UTF-8 is replaced, and null characters stay', async () => {
    expect((await execute("printf 'a\\xff\\xfeb\\0c'")).stdout).toBe('a\uFFFD\uFFFDb\0c');
  });

  test('of many commands that end together fits the small heap of a runner', async () => {
    const runner = runnerPid();
    const [outputBytesMax, command] = [2 ** 24, 'head -c 16M /dev/zero | tee /dev/stderr'];
    const exits = await Promise.all(Array.from({ length: 10 }, () => execute(command, { outputBytesMax })));
    for (const exit of exits)
      expect(exit).toMatchObject({ exitCode: 0, stdoutBytes: outputBytesMax, stderrBytes: outputBytesMax });
    expect(runnerPid()).toBe(runner);
  });

  test('of both streams at once, hundreds of megabytes, costs no memory', async () => {
    const runner = runnerPid();
    await execute('true');
    const before = residentKilobytes(runner);
    const exit = await execute('(yes | head -c 400M >&2) & yes | head -c 400M | tr -d "\\n"; wait', {
      outputBytesMax: 1_048_576,
    });
    expect(exit).toMatchObject({
      exitCode: 0,
      stdoutBytes: 200 * 2 ** 20,
      stderrBytes: 400 * 2 ** 20,
      stdoutTruncated: true,
    });
    expect(residentKilobytes(runner) - before).toBeLessThan(64 * 1024);
  });
});

describe('the end of a command', () => {
  test('is forced on its whole tree: TERM, and KILL for who ignores it', async () => {
    const file = join(folder, 'children');
    const command = `trap '' TERM; (trap '' TERM; sleep 300) & echo $! > ${file}; (sleep 300 & echo $! >> ${file}; exit) & wait; sleep 300`;
    const exit = await execute(command, {
      onStarted: (_, id) => {
        void until(() => linesOf(file).length === 2, 'both children').then(() => pool.kill(id, 'canceled', 300));
      },
    });
    expect(exit).toMatchObject({
      exitCode: 137,
      killReason: 'canceled',
      errorMessage: expect.stringContaining('Canceled.'),
    });
    for (const pid of linesOf(file).map(Number)) expect(isRunning(pid)).toBe(false);
  });

  test('is its own where TERM is enough', async () => {
    const exit = await execute('trap "echo bye; exit 5" TERM; sleep 300 & wait', {
      onStarted: (_, id) => pool.kill(id, 'timed_out', 5000),
    });
    expect(exit.killReason).toBe('timed_out');
    expect([5, 143]).toContain(exit.exitCode);
  });

  test('does not wait for a child that keeps the output open, and ends what is left of the group', async () => {
    const file = join(folder, 'left');
    const exit = await execute(`sleep 300 & echo $! > ${file}; echo done`);
    expect(exit).toMatchObject({ exitCode: 0, stdout: 'done\n' });
    expect(isRunning(Number(linesOf(file)[0]))).toBe(false);
  });

  test('does not wait for one that left the session either', async () => {
    const file = join(folder, 'session');
    const exit = await execute(`setsid sleep 300 & echo $! > ${file}; echo done`);
    expect(exit).toMatchObject({ exitCode: 0, stdout: 'done\n' });
    process.kill(Number(linesOf(file)[0]));
  });

  test('lets what bash does not wait for finish its last words', async () => {
    expect(await execute('echo hi > >(sleep 0.2; cat)')).toMatchObject({ exitCode: 0, stdout: 'hi\n' });
  });

  test('comes at the time limit, for the whole tree', async () => {
    const timeLimit = { timeoutMs: 2000, graceMs: 100 };
    const exit = await execute("trap '' TERM; sleep 300 & sleep 300; sleep 300", { timeLimit });
    expect(exit).toMatchObject({
      exitCode: 137,
      killReason: 'timed_out',
      errorMessage: 'The time limit was exceeded. Terminated by SIGKILL.',
    });
    expect(exit.endedAtMs - exit.startedAtMs).toBeGreaterThanOrEqual(2099);
  });

  test('is not touched by a time limit that it keeps', async () => {
    const timeLimit = { timeoutMs: 60_000, graceMs: 0 };
    expect(await execute('echo hi', { timeLimit })).toMatchObject({ exitCode: 0, killReason: null });
  });

  test('may be hurried: a second request shortens the grace, the first reason stays', async () => {
    const exit = await execute("trap '' TERM; sleep 300; sleep 300", {
      onStarted: (_, id) => {
        pool.kill(id, 'canceled', 60_000);
        pool.kill(id, 'drained', 0);
      },
    });
    expect(exit).toMatchObject({ killReason: 'canceled', endedAtMs: expect.any(Number) });
  });

  test('was its own if it had ended when it was to be ended', async () => {
    const exit = await execute("(trap '' TERM; sleep 300; sleep 300) & exit 3", {
      onStarted: (pid, id) => {
        // Not a zombie any more either: the runner has collected it.
        void until(() => !existsSync(`/proc/${pid}`), 'the command itself').then(() => pool.kill(id, 'canceled', 0));
      },
    });
    expect(exit).toMatchObject({ exitCode: 3, killReason: null, errorMessage: '' });
  });
});

describe('a runner', () => {
  test('gives no pipe that a process of an earlier run still reads to the next', async () => {
    const file = join(folder, 'thief');
    const hold = `setsid sleep 300 3</dev/stdout >/dev/null 2>&1 & echo $! > ${file}; readlink /proc/$$/fd/1`;
    const held = (await execute(hold)).stdout;
    expect(held).toMatch(/pipe-\d+\n$/);
    const next = await Promise.all(Array.from({ length: 5 }, () => execute('readlink /proc/$$/fd/1')));
    expect(next.map(({ stdout }) => stdout)).not.toContain(held);
    process.kill(Number(linesOf(file)[0]));
  });

  test.each([
    ['an environment', { env: { A: '\0' } }],
    ['a directory', { cwd: '/\0' }],
  ])('survives %s that the system refuses', async (_, options) => {
    const runner = runnerPid();
    expect(await execute('true', options)).toMatchObject({ exitCode: 126, errorMessage: expect.stringMatching(/./) });
    expect(await execute('echo hi')).toMatchObject({ exitCode: 0, stdout: 'hi\n' });
    expect(runnerPid()).toBe(runner);
  });

  test('has no environment and no open files of its coordinator', () => {
    const pid = runnerPid();
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
    expect(environment.map((entry) => entry.split('=')[0])).toEqual(expect.arrayContaining(['NODE_CHANNEL_FD']));
    expect(environment.filter((entry) => !entry.startsWith('NODE_CHANNEL'))).toEqual([]);
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(files.filter((file) => file.startsWith('/') && !/^\/dev\/null$|^\/proc/.test(file))).toEqual([]);
  });

  test('pays no heed to a Ctrl-C that reaches the whole group', async () => {
    const exit = await execute('sleep 0.3; echo fine', { onStarted: () => process.kill(runnerPid(), 'SIGINT') });
    expect(exit).toMatchObject({ exitCode: 0, stdout: 'fine\n' });
  });

  test('that dies takes its commands with it; their runs end, and another takes its place', async () => {
    const runner = runnerPid();
    let command = 0;
    const exit = await execute('sleep 300', {
      onStarted: (pid) => {
        command = pid;
        process.kill(runner, 'SIGKILL');
      },
    });
    expect(exit.errorMessage).toContain('The runner process of this command was ended by SIGKILL');
    await until(() => !isRunning(command), 'the command to be ended');
    await until(() => runnerPids().length === 1 && runnerPid() !== runner, 'another runner');
    await pool.ready();
    expect(await execute('echo again')).toMatchObject({ stdout: 'again\n' });
  });
});

function runnerPids(): number[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(process.pid), '-f', 'bjr-runner-'], { encoding: 'utf8' });
  return stdout.trim().split('\n').filter(Boolean).map(Number);
}

const runnerPid = () => runnerPids()[0] ?? 0;

function residentKilobytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
