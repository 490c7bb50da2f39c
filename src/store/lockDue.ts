import { and, asc, eq, lte, sql } from 'drizzle-orm';
import { NOW_MICROS, type Queryable } from './database.ts';
import { jobs } from './schema.ts';

export type DueJob = Awaited<ReturnType<typeof lockDue>>[number];

/** The claim's one read. Exported for the test that reads its plan and its locks. */
export function lockDue(tx: Queryable, limit: number) {
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
      scheduledFor: jobs.scheduledFor,
      trigger: jobs.trigger,
      attempt: jobs.attempt,
      leaseToken: jobs.leaseToken,
      nowMicros: NOW_MICROS,
    })
    .from(jobs, { forceIndex: 'jobs_claim' })
    .where(and(eq(jobs.state, 'due'), lte(jobs.dueAt, sql`UTC_TIMESTAMP(6)`)))
    .orderBy(asc(jobs.dueAt), asc(jobs.id))
    .limit(limit)
    .for('update', { skipLocked: true });
}
