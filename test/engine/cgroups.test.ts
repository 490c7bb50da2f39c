import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { StartRequest } from '../../src/runner/protocol.ts';
import { createJobCgroups, type JobCgroups, judge, tryCgroups } from '../../src/worker/jobCgroups.ts';
import { findIn } from '../../src/worker/ownCgroup.ts';
import { createRunnerPool, type RunnerPool } from '../../src/worker/runnerPool.ts';
import { COORDINATOR, readPids } from '../support/coordinator.ts';
import { isRunning, until } from '../support/processes.ts';

const usable = await tryCgroups();
const isUsable = 'parent' in usable;
const unlessNone = (name: string) => (isUsable ? name : `${name} (skipped: ${usable.reason})`);
const log = pino({ level: 'silent' });

describe('the own cgroup', () => {
  const mount = (root: string, point: string) =>
    `31 23 0:28 / /sys rw - sysfs sysfs rw\n41 31 0:38 ${root} ${point} rw,relatime shared:9 - cgroup2 cgroup2 rw\n`;

  test.each([
    [
      'on a host',
      mount('/', '/sys/fs/cgroup'),
      '0::/system.slice/bjr.service\n',
      '/sys/fs/cgroup/system.slice/bjr.service',
    ],
    [
      'beside those of version 1',
      mount('/', '/sys/fs/cgroup/unified'),
      '4:memory:/a\n0::/b\n',
      '/sys/fs/cgroup/unified/b',
    ],
    ['in a namespace of its own', mount('/', '/sys/fs/cgroup'), '0::/\n', '/sys/fs/cgroup'],
    [
      "in a container that is shown the host's names",
      mount('/docker/12', '/sys/fs/cgroup'),
      '0::/docker/12\n',
      '/sys/fs/cgroup',
    ],
    ['in a folder with a space', mount('/', '/a\\040folder'), '0::/b\n', '/a folder/b'],
  ])('is found %s', (_, mountinfo, cgroup, path) => {
    expect(findIn(mountinfo, cgroup)).toEqual({ path });
  });

  test.each([
    ['nothing is mounted', '', '0::/\n'],
    ['there is version 1 only', '32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n', '1:cpu:/\n'],
    ['it lies outside of what is mounted', mount('/docker/12', '/sys/fs/cgroup'), '0::/docker/34\n'],
    ['it lies outside of its namespace', mount('/', '/sys/fs/cgroup'), '0::/../34\n'],
  ])('is none where %s', (_, mountinfo, cgroup) => {
    expect(findIn(mountinfo, cgroup)).toEqual({ reason: expect.any(String) });
  });
});

describe('cgroups', () => {
  test('that would slow every start down are used only where they are demanded', () => {
    const slow = { parent: '/sys/fs/cgroup', moveMs: 15 };
    expect(judge('auto', slow)).toEqual({ reason: expect.stringContaining('15.0 ms') });
    expect(judge('on', slow)).toEqual(slow);
  });

  test('are not had in a folder that is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bjr-no-cgroup-'));
    expect(await tryCgroups({ path: folder })).toEqual({ reason: expect.any(String) });
    expect(await tryCgroups({ path: join(folder, 'missing') })).toEqual({ reason: expect.any(String) });
    rmSync(folder, { recursive: true });
  });
});

describe.runIf(isUsable)(unlessNone('a run with a cgroup'), () => {
  let folder: string;
  let cgroups: JobCgroups;
  let pool: RunnerPool;
  let runId = 0;
  const complaints: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bjr-cgroups-test-'));
    const found = await createJobCgroups('on', log);
    if (!found) throw new Error('There are none');
    cgroups = found;
    const heard = pino({ level: 'error' }, { write: (line: string) => void complaints.push(line) });
    pool = createRunnerPool(1, heard, { cgroups });
    await pool.ready();
  });
  afterAll(async () => {
    await pool.close();
    expect(existsSync(cgroups.directory)).toBe(false);
    expect(complaints).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** While nothing runs: the one in which the runner waits for the next run. */
  const ofRuns = () => readdirSync(cgroups.directory).filter((name) => name.startsWith('run-'));
  const tell = "sed -n 's/^0::.*bjr-/bjr-/p' /proc/self/cgroup";
  const request = (command: string, options: Partial<StartRequest> = {}) => ({
    runId: ++runId,
    command,
    env: { PATH: '/usr/bin:/bin', BJR_RUN_TOKEN: `cgroup-${runId}` },
    cwd: '/',
    outputBytesMax: 4096,
    ...options,
  });

  /** A process in another session, with another parent, an empty environment and, where it can be, another user. */
  const leave = (file: string) => {
    const change = process.getuid?.() === 0 ? 'setpriv --reuid=61002 --regid=61002 --clear-groups' : '';
    return `setsid env -i /bin/sh -c '${change} sleep 300 & echo $! > ${file}' < /dev/null > /dev/null 2>&1 &
      until [ -s ${file} ]; do sleep 0.02; done`;
  };
  const escapedIn = (file: string) => Number(readFileSync(file, 'utf8'));

  test('is in it from its first instant, whatever it is started by', async () => {
    const limits = { nice: 1, memoryBytesMax: 0, processesMax: 0, fileBytesMax: 0 };
    const ways: [string, Partial<StartRequest>][] = [
      [tell, {}],
      [`#!/bin/sh\n${tell}`, {}],
      [tell, { limits }],
      ...(process.getuid?.() === 0
        ? [[tell, { owner: { uid: 61_001, gid: 61_001 } }] as [string, Partial<StartRequest>]]
        : []),
    ];
    const seen = new Set<string>();
    for (const [command, options] of ways) {
      const asked = request(command, options);
      const exit = await pool.execute(asked, () => {});
      expect(exit.stdout).toMatch(/^bjr-[\w-]+\/run-1-\d+\n$/);
      expect(seen.has(exit.stdout)).toBe(false);
      seen.add(exit.stdout);
      expect(existsSync(join(dirname(cgroups.directory), exit.stdout.trim()))).toBe(false);
    }
    expect(ofRuns()).toHaveLength(1);
  });

  test.each([
    ['at once', 1],
    ['once the runner waits for it', 2],
  ])("is in no other run's when that goes on and it starts %s", async (_, count) => {
    const go = join(folder, `go-${count}`);
    const wait = `${tell}; until [ -e ${go} ]; do sleep 0.05; done`;
    const [first, second] = [request(`${wait}; sleep 300`), request(wait)];
    const ended = pool.execute(first, () => {});
    await until(() => ofRuns().length >= count, 'the next cgroup');
    const { promise: started, resolve } = Promise.withResolvers<number>();
    const succeeded = pool.execute(second, resolve);
    await started;
    expect(ofRuns().length).toBeGreaterThanOrEqual(2);
    pool.kill(first.runId, 'canceled', 0);
    const { killReason, stdout } = await ended;
    writeFileSync(go, '');
    const exit = await succeeded;
    expect([killReason, exit.exitCode]).toEqual(['canceled', 0]);
    expect(exit.stdout).not.toBe(stdout);
    expect(ofRuns()).toHaveLength(1);
  });

  test.each(['timed_out', 'canceled', 'drained', 'lease_lost'] as const)(
    'leaves nothing behind when its end is forced (%s)',
    async (reason) => {
      const file = join(folder, reason);
      // Long enough for the escape on a slow machine.
      const limit = reason === 'timed_out' ? { timeLimit: { timeoutMs: 4000, graceMs: 0 } } : {};
      const asked = request(`${leave(file)}; sleep 300`, limit);
      const finished = pool.execute(asked, () => {});
      if (reason !== 'timed_out') {
        await until(() => spawnSync('test', ['-s', file]).status === 0, 'the escape');
        pool.kill(asked.runId, reason, 0);
      }
      expect((await finished).killReason).toBe(reason);
      expect(isRunning(escapedIn(file))).toBe(false);
      expect(ofRuns()).toHaveLength(1);
    },
  );

  test('has none while none can be made, without being in that of another', async () => {
    const file = join(folder, 'limited');
    const limit = join(cgroups.directory, 'cgroup.max.descendants');
    // The runners' own, and the one that is prepared.
    writeFileSync(limit, '2');
    try {
      const first = request(`${leave(file)}; sleep 300`);
      const finished = pool.execute(first, () => {});
      await until(() => complaints.length > 0, 'the runner to find that there is no further one');
      const second = await pool.execute(request(tell), () => {});
      expect(second.stdout).toMatch(/^bjr-[\w-]+\/runners\n$/);
      pool.kill(first.runId, 'canceled', 0);
      expect((await finished).killReason).toBe('canceled');
      expect(isRunning(escapedIn(file))).toBe(false);
    } finally {
      writeFileSync(limit, 'max');
    }
    expect(complaints.splice(0)).toEqual([expect.stringContaining('No cgroups for runs')]);
    expect((await pool.execute(request(tell), () => {})).stdout).toMatch(/\/run-1-\d+\n$/);
    expect(ofRuns()).toHaveLength(1);
  });

  test('leaves nothing behind when its runner dies', async () => {
    const file = join(folder, 'runner');
    const asked = request(`${leave(file)}; sleep 300`);
    const { promise: started, resolve } = Promise.withResolvers<number>();
    const finished = pool.execute(asked, resolve);
    const command = await started;
    await until(() => spawnSync('test', ['-s', file]).status === 0, 'the escape');
    process.kill(parentOf(command), 'SIGKILL');
    await finished;
    expect([command, escapedIn(file)].filter(isRunning)).toEqual([]);
    expect(complaints.splice(0)).toEqual([expect.stringContaining('A runner died')]);
  });

  test('may leave a daemon when it ends by itself, and the cgroup goes after that', async () => {
    const file = join(folder, 'daemon');
    const asked = request(leave(file));
    expect(await pool.execute(asked, () => {})).toMatchObject({ exitCode: 0 });
    expect(isRunning(escapedIn(file))).toBe(true);
    process.kill(escapedIn(file), 'SIGKILL');
    await until(() => !isRunning(escapedIn(file)), 'its end');
    await pool.execute(request('true'), () => {});
    expect(ofRuns()).toHaveLength(1);
  });

  describe('of a worker that was killed', () => {
    let coordinator: ChildProcess | undefined;
    afterEach(() => coordinator?.kill('SIGKILL'));

    test('just after the start, its grace is not cut by the next worker', async () => {
      const ready = join(folder, 'ready');
      const [told, cleaned] = [join(folder, 'told'), join(folder, 'cleaned')];
      const command = `trap 'echo > ${told}; sleep 0.6; echo > ${cleaned}; exit' TERM; echo > ${ready}; while :; do sleep 0.05; done`;
      coordinator = spawn(process.execPath, [COORDINATOR, command], {
        env: { PATH: '/usr/bin:/bin', JOB_CGROUPS: 'on' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [pid = 0] = await readPids(coordinator, 1);
      await until(() => existsSync(ready), 'its trap');
      coordinator.kill('SIGKILL');
      await until(() => existsSync(told), 'its TERM');
      // By then its runner would have moved on to wait for a next run.
      await delay(200);
      await createJobCgroups('on', log);
      await until(() => !isRunning(pid), 'its end');
      expect(existsSync(cleaned)).toBe(true);
    });

    test('together with its runners it is ended by the next one, and daemons stay', async () => {
      const [file, daemon] = [join(folder, 'orphan'), join(folder, 'spared')];
      const commands = [`${leave(file)}; sleep 300`, leave(daemon)];
      coordinator = spawn(process.execPath, [COORDINATOR, ...commands], {
        env: { PATH: '/usr/bin:/bin', JOB_CGROUPS: 'on' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const pids = await readPids(coordinator, commands.length);
      const [command = 0, second = 0] = pids;
      const runner = parentOf(command);
      const [own] = readdirSync(dirname(cgroups.directory)).filter((name) => name.includes(`-${coordinator?.pid}-`));
      const directory = join(dirname(cgroups.directory), own ?? 'none');
      await until(() => [file, daemon].every((name) => spawnSync('test', ['-s', name]).status === 0), 'the escapes');
      await until(() => !isRunning(second) && existsSync(join(directory, 'run-1-2', 'left')), 'its end by itself');
      process.kill(runner, 'SIGSTOP');
      coordinator.kill('SIGKILL');
      process.kill(runner, 'SIGKILL');
      await until(() => ![runner, coordinator?.pid ?? 0].some(isRunning), 'their ends');
      expect([command, escapedIn(file), escapedIn(daemon)].map(isRunning)).toEqual([true, true, true]);

      await createJobCgroups('on', log);
      expect([command, escapedIn(file), escapedIn(daemon)].map(isRunning)).toEqual([false, false, true]);
      process.kill(escapedIn(daemon), 'SIGKILL');
      await until(() => !isRunning(escapedIn(daemon)), 'its end');
      await createJobCgroups('on', log);
      expect(existsSync(directory)).toBe(false);
    });
  });
});

/** Field 4 of /proc/PID/stat. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
