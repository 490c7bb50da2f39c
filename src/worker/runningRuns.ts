import type { ClaimedRun } from '../store/claimRuns.ts';

/** The runs that this worker holds leases for: as many at a time as it has slots. */
export interface RunningRuns {
  readonly slots: number;
  readonly all: ReadonlyMap<number, ClaimedRun>;
  free(): number;
  add(run: ClaimedRun): void;
  remove(runId: number): void;
  /** Resolves when none is left. */
  whenEmpty(): Promise<void>;
}

export function createRunningRuns(slots: number): RunningRuns {
  const all = new Map<number, ClaimedRun>();
  let waiting: (() => void)[] = [];
  return {
    slots,
    all,
    free: () => slots - all.size,
    add: (run) => void all.set(run.runId, run),
    remove(runId) {
      all.delete(runId);
      if (all.size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    whenEmpty: () => (all.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
