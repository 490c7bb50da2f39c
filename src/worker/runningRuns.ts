import type { Monotonic } from '../platform/clock.ts';
import type { ClaimedRun } from '../store/claimRuns.ts';

/** The runs that this worker holds leases for: those with a slot, those that wait for one, and those that are being recorded. */
export interface RunningRuns {
  readonly all: ReadonlyMap<number, ClaimedRun>;
  /** Slots with a command. */
  busy(): number;
  /**
   * How many more to claim; 0 where that is not worth a transaction yet. Where commands end quickly some are claimed ahead of
   * their slots: a claim costs much the same for one job as for ten, and no slot is empty while it is made. Behind commands
   * that take long nothing waits, also where many of them end at once. A run that only waits to be recorded takes no slot,
   * but where the database falls far behind, nothing is claimed.
   */
  room(): number;
  add(run: ClaimedRun): void;
  /** Its command has ended, and took so long; the lease is held until it is recorded. */
  end(runId: number, tookMs: number): void;
  remove(runId: number): void;
  /** Resolves when none is left. */
  whenEmpty(): Promise<void>;
}

/** Behind one that takes longer a run would find no slot in time, and be given back. */
const QUICK_MS = 1000;
/** As many are claimed ahead as quick commands ended within this time: that is how long the last of them will wait, about. */
const AHEAD_MS = 100;
/** Twice the slots: half of them are claimed in one transaction. */
const AHEAD_MAX = 2;
/** Outcomes that wait for the database: as many as there are slots, or so many. Each holds its output in memory. */
const UNRECORDED_MAX = 32;

export function createRunningRuns(slots: number, monotonic: Monotonic): RunningRuns {
  const all = new Map<number, ClaimedRun>();
  const ended = new Set<number>();
  let endedAtMs: number[] = [];
  let waiting: (() => void)[] = [];

  const held = () => all.size - ended.size;
  const ahead = () => {
    const sinceMs = monotonic() - AHEAD_MS;
    return endedAtMs.filter((atMs) => atMs > sinceMs).length;
  };

  return {
    all,
    busy: () => Math.min(slots, held()),
    room() {
      if (ended.size >= Math.max(slots, UNRECORDED_MAX)) return 0;
      const most = ahead();
      const room = slots + most - held();
      const hasWaiting = held() > slots;
      return hasWaiting && room < most / 2 ? 0 : Math.max(0, room);
    },
    add: (run) => void all.set(run.runId, run),
    end(runId, tookMs) {
      if (!all.has(runId)) return;
      ended.add(runId);
      if (tookMs < QUICK_MS) endedAtMs = [...endedAtMs, monotonic()].slice(-AHEAD_MAX * slots);
    },
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
