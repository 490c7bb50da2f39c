import { and, asc, eq, lte, type Placeholder, sql } from 'drizzle-orm';
import { NOW_MICROS, type Queryable } from './database.ts';
import { prepare } from './prepare.ts';
import { jobs } from './schema.ts';

export type DueJob = Awaited<ReturnType<typeof lockDue>>[number];

/** The claim's one read. `earlyMs`: those too that are due so soon. */
export const lockDue = (tx: Queryable, { limit, earlyMs = 0 }: { limit: number; earlyMs?: number }) =>
  dueJobs(tx).execute({ limit, earlyMicros: earlyMs * 1000 });

const dueJobs = prepare((tx) => selectDue(tx, sql.placeholder('limit'), sql.placeholder('earlyMicros')).prepare());

/** Exported for the test that reads its plan. */
export function selectDue(tx: Queryable, limit: number | Placeholder, earlyMicros: number | Placeholder = 0) {
  return tx
    .select({
      id: jobs.id,
      userId: jobs.userId,
      name: jobs.name,
      command: jobs.command,
      cron: jobs.cron,
      timezone: jobs.timezone,
      enabled: jobs.enabled,
      misfirePolicy: jobs.misfirePolicy,
      catchUpMax: jobs.catchUpMax,
      startsAt: jobs.startsAt,
      endsAt: jobs.endsAt,
      timeoutSeconds: jobs.timeoutSeconds,
      env: jobs.env,
      workingDirectory: jobs.workingDirectory,
      nextRun: jobs.nextRun,
      dueAt: jobs.dueAt,
      scheduledFor: jobs.scheduledFor,
      trigger: jobs.trigger,
      attempt: jobs.attempt,
      leaseToken: jobs.leaseToken,
      nowMicros: NOW_MICROS,
      idStep: sql<number>`@@auto_increment_increment`,
    })
    .from(jobs, { forceIndex: 'jobs_claim' })
    .where(and(eq(jobs.state, 'due'), lte(jobs.dueAt, sql`UTC_TIMESTAMP(6) + INTERVAL ${earlyMicros} MICROSECOND`)))
    .orderBy(asc(jobs.dueAt), asc(jobs.id))
    .limit(limit)
    .for('update', { skipLocked: true });
}
