import { and, desc, eq, gte, isNotNull, lte, ne, type SQL } from 'drizzle-orm';
import type { Queryable } from './database.ts';
import { jobRuns, runOutputs } from './schema.ts';

export interface RunFilter {
  jobId: number;
  succeeded?: boolean | undefined;
  startedFrom?: Date | undefined;
  finishedUntil?: Date | undefined;
}

export type Run = typeof jobRuns.$inferSelect & { stdout: string | null; stderr: string | null };

/** A job's runs, newest first, with their output, and how many match. */
export async function listRuns(
  db: Queryable,
  filter: RunFilter,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ runs: Run[]; total: number }> {
  const condition = conditionOf(filter);
  const page = db
    .select({ id: jobRuns.id })
    .from(jobRuns)
    .where(condition)
    .orderBy(desc(jobRuns.id))
    .limit(limit)
    .offset(offset)
    .as('page');
  // The page is found in the index first: outputs are read for its rows only.
  const rows = await db
    .select({ run: jobRuns, stdout: runOutputs.stdout, stderr: runOutputs.stderr })
    .from(page)
    .innerJoin(jobRuns, eq(jobRuns.id, page.id))
    .leftJoin(runOutputs, eq(runOutputs.runId, jobRuns.id))
    .orderBy(desc(jobRuns.id));
  const total = await db.$count(jobRuns, condition);
  return { runs: rows.map(({ run, stdout, stderr }) => ({ ...run, stdout, stderr })), total };
}

function conditionOf({ jobId, succeeded, startedFrom, finishedUntil }: RunFilter): SQL | undefined {
  const bySuccess = succeeded ? eq(jobRuns.outcome, 'succeeded') : ne(jobRuns.outcome, 'succeeded');
  return and(
    eq(jobRuns.jobId, jobId),
    succeeded === undefined ? undefined : and(isNotNull(jobRuns.outcome), bySuccess),
    startedFrom && gte(jobRuns.startedAt, startedFrom),
    finishedUntil && lte(jobRuns.finishedAt, finishedUntil),
  );
}
