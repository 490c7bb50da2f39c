import { beforeEach, describe, expect, test } from 'vitest';
import type { ClaimedRun } from '../../src/store/claimRuns.ts';
import { createRunningRuns, type RunningRuns } from '../../src/worker/runningRuns.ts';

describe('the runs of a worker with four slots', () => {
  let running: RunningRuns;
  let runId = 0;
  beforeEach(() => {
    running = createRunningRuns(4);
  });

  const add = () => {
    runId += 1;
    const run: Partial<ClaimedRun> = { runId };
    running.add(run as ClaimedRun);
    return runId;
  };
  const addMany = (count: number) => Array.from({ length: count }, add);

  test('at first are as many as there are slots', () => {
    expect(running.free()).toBe(4);
    addMany(3);
    expect([running.free(), running.busy()]).toEqual([1, 3]);
    add();
    expect([running.free(), running.busy()]).toEqual([0, 4]);
  });

  test('take no slot while they are recorded, until as many wait for that as there are slots', () => {
    for (const id of addMany(4)) running.end(id);
    expect([running.free(), running.busy(), running.all.size]).toEqual([4, 0, 4]);
    const next = addMany(4);
    expect(running.free()).toBe(0);
    for (const id of next) running.end(id);
    expect([running.free(), running.busy()]).toEqual([0, 0]);
    running.remove(next[0] ?? 0);
    expect(running.free()).toBe(1);
  });
});
