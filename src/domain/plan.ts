/** Where a job's own row says it stands: there is no queue. */
export const JOB_STATES = ['idle', 'due', 'leased'] as const;

/** What made a job due. */
export const TRIGGERS = ['schedule', 'manual', 'retry'] as const;
export type Trigger = (typeof TRIGGERS)[number];

/** How far ahead an occurrence becomes due. Two minutes: a leader may miss one of its minutes and nothing is late. */
export const HORIZON_MS = 120_000;

export type Standing = { state: 'idle'; dueAt: null } | { state: 'due'; dueAt: Date };

/**
 * Where a job without a lease stands: due from its next occurrence if that lies inside the horizon, else idle.
 * Everything that writes a job (create, edit, enable, record, reap) asks this one function; the leader's mark is the same
 * rule in SQL (src/store/markDue.ts).
 */
export function plan(job: { enabled: boolean; nextRun: Date | null }, now: Date): Standing {
  const { enabled, nextRun } = job;
  const isNear = nextRun !== null && nextRun.getTime() <= now.getTime() + HORIZON_MS;
  return enabled && isNear ? { state: 'due', dueAt: nextRun } : { state: 'idle', dueAt: null };
}
