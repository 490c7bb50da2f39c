import { expect, test } from 'vitest';
import { createSample } from '../../src/platform/metrics/sample.ts';

test('what is sampled is read once, however many ask, and again when it is old', async () => {
  let reads = 0;
  let nowMs = 0;
  const sample = createSample(async () => ++reads, { keepMs: 5000, patienceMs: 60_000, monotonic: () => nowMs });
  expect(await Promise.all(Array.from({ length: 100 }, sample))).toEqual(Array.from({ length: 100 }, () => 1));
  nowMs = 4999;
  expect(await sample()).toBe(1);
  nowMs = 5000;
  expect(await Promise.all([sample(), sample()])).toEqual([2, 2]);
});

test('one that hangs is not asked again, and nobody waits for it', async () => {
  let reads = 0;
  const hanging = Promise.withResolvers<number>();
  const read = () => {
    reads += 1;
    return hanging.promise;
  };
  const sample = createSample(read, { keepMs: 0, patienceMs: 1, monotonic: () => 0 });
  expect([await sample(), await sample()]).toEqual([null, null]);
  expect(reads).toBe(1);
  hanging.resolve(7);
  expect(await createSample(() => hanging.promise, { keepMs: 0, patienceMs: 60_000, monotonic: () => 0 })()).toBe(7);
});

test('one that fails has no answer', async () => {
  const sample = createSample(() => Promise.reject(new Error('away')), {
    keepMs: 0,
    patienceMs: 60_000,
    monotonic: () => 0,
  });
  expect(await sample()).toBeNull();
});
