import type { ClaimedRun } from '../store/claimRuns.ts';

/** The runs that this worker holds leases for: as many commands at a time as it has slots, and what is being recorded. */
export interface RunningRuns {
  readonly slots: number;
  readonly all: ReadonlyMap<number, ClaimedRun>;
  /** Slots with a command. */
  busy(): number;
  /**
   * How many more may be claimed. A run that only waits to be recorded takes no slot; but where the database falls so far
   * behind that there are as many of them as slots, nothing is claimed.
   */
  free(): number;
  add(run: ClaimedRun): void;
  /** Its command has ended; the lease is held until it is recorded. */
  end(runId: number): void;
  remove(runId: number): void;
  /** Resolves when none is left. */
  whenEmpty(): Promise<void>;
}

export function createRunningRuns(slots: number): RunningRuns {
  const all = new Map<number, ClaimedRun>();
  const ended = new Set<number>();
  const busy = () => all.size - ended.size;
  let waiting: (() => void)[] = [];
  return {
    slots,
    all,
    busy,
    free: () => Math.min(slots - busy(), 2 * slots - all.size),
    add: (run) => void all.set(run.runId, run),
    end: (runId) => void (all.has(runId) && ended.add(runId)),
    remove(runId) {
      all.delete(runId);
      ended.delete(runId);
      if (all.size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    whenEmpty: () => (all.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
