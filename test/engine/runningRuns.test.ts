import { beforeEach, describe, expect, test } from 'vitest';
import type { ClaimedRun } from '../../src/store/claimRuns.ts';
import { createRunningRuns, type RunningRuns } from '../../src/worker/runningRuns.ts';

describe('the runs of a worker with four slots', () => {
  let running: RunningRuns;
  let runId = 0;
  let nowMs = 0;
  beforeEach(() => {
    nowMs = 0;
    running = createRunningRuns(4, () => nowMs);
  });

  const add = () => {
    runId += 1;
    const run: Partial<ClaimedRun> = { runId };
    running.add(run as ClaimedRun);
    return runId;
  };
  const addMany = (count: number) => Array.from({ length: count }, add);
  const endAll = (ids: number[], tookMs = 5) => {
    for (const id of ids) running.end(id, tookMs);
  };
  const seconds = (count: number) => {
    nowMs += count * 1000;
  };

  test('at first are as many as there are slots', () => {
    expect(running.room()).toBe(4);
    addMany(3);
    expect([running.room(), running.busy()]).toEqual([1, 3]);
    add();
    expect([running.room(), running.busy()]).toEqual([0, 4]);
  });

  test('are no more than the slots where commands take long', () => {
    const [first = 0] = addMany(4);
    running.end(first, 60_000);
    seconds(1);
    expect(running.room()).toBe(1);
    add();
    expect(running.room()).toBe(0);
  });

  test('are no more than the slots where commands that took long end at once', () => {
    endAll(addMany(4), 60_000);
    expect(running.room()).toBe(4);
  });

  test('are claimed ahead where commands end quickly, as many as ended lately and at most two for a slot', () => {
    endAll(addMany(3));
    expect(running.room()).toBe(7);
    endAll(addMany(20));
    expect(running.room()).toBe(12);
    seconds(1);
    expect(running.room()).toBe(4);
  });

  test('are claimed ahead in batches, and those that wait take no slot', () => {
    endAll(addMany(8));
    const held = addMany(12);
    expect([running.room(), running.busy()]).toEqual([0, 4]);
    endAll(held.slice(0, 3));
    expect(running.room()).toBe(0);
    endAll(held.slice(3, 4));
    expect(running.room()).toBe(4);
  });

  test('end without anything to claim where the last of them waited for a slot', () => {
    endAll(addMany(8));
    addMany(5);
    seconds(1);
    expect(running.room()).toBe(0);
  });

  test('are no more where too many outcomes wait for the database, until one is recorded', () => {
    const ids = addMany(32);
    endAll(ids);
    expect([running.room(), running.busy()]).toEqual([0, 0]);
    running.remove(ids[0] ?? 0);
    expect(running.room()).toBe(12);
  });
});
