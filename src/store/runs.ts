import { and, between, desc, eq, getTableColumns, inArray, or, sql } from 'drizzle-orm';
import { conditionOf, countRuns, locatePage, type RunFilter } from './countRuns.ts';
import type { Queryable } from './database.ts';
import { readQuickly } from './prepare.ts';
import { jobRuns, jobs, runOutputs } from './schema.ts';

export type { RunFilter } from './countRuns.ts';

export type Run = typeof jobRuns.$inferSelect & { stdout: string | null; stderr: string | null };

/** A run with what is known of its output. */
export type FullRun = Run & {
  stdoutTruncated: boolean;
  stderrTruncated: boolean;
  stdoutBytes: number;
  stderrBytes: number;
};

/** The user's run; one of a job that is gone is gone with it, though the leader has yet to remove it. */
export async function findRun(
  db: Queryable,
  { id, userId }: { id: number; userId: number },
): Promise<FullRun | undefined> {
  const { runId: _, ...output } = getTableColumns(runOutputs);
  const [row] = await db
    .select({ run: jobRuns, output })
    .from(jobRuns)
    .innerJoin(jobs, eq(jobs.id, jobRuns.jobId))
    .leftJoin(runOutputs, eq(runOutputs.runId, jobRuns.id))
    .where(and(eq(jobRuns.id, id), eq(jobRuns.userId, userId)));
  return row && { ...row.run, ...(row.output ?? NO_OUTPUT) };
}

const NO_OUTPUT = {
  stdout: null,
  stderr: null,
  stdoutTruncated: false,
  stderrTruncated: false,
  stdoutBytes: 0,
  stderrBytes: 0,
};

export async function findOutput(db: Queryable, runId: number) {
  const { stdout, stderr } = runOutputs;
  const [output] = await db.select({ stdout, stderr }).from(runOutputs).where(eq(runOutputs.runId, runId));
  return output;
}

/** `outcome` is null while the run is under way; undefined where it is not there any more. */
export async function findEnd(db: Queryable, id: number) {
  const [run] = await db
    .select({ outcome: jobRuns.outcome, returnCode: jobRuns.returnCode })
    .from(jobRuns)
    .where(eq(jobRuns.id, id));
  return run;
}

/**
 * Of the outputs on one page together, in characters. Only long outputs on a long page come near: 25 runs may have both streams
 * in full at the default OUTPUT_LIMIT_BYTES. The run itself has the whole (findRun).
 */
const PAGE_CHARACTERS_MAX = 64 * 1024 * 1024;

/** Head and tail of a text that is longer than its share of the page, with a line between that says so. */
function shareOf(text: typeof runOutputs.stdout | typeof runOutputs.stderr, charactersMax: number) {
  const half = Math.floor(charactersMax / 2);
  const [before, after] = ['\n[… ', ' characters left out of this list …]\n'];
  return sql<string | null>`CASE WHEN CHAR_LENGTH(${text}) <= ${2 * half} THEN ${text}
    ELSE CONCAT(LEFT(${text}, ${half}), ${before}, CHAR_LENGTH(${text}) - ${2 * half}, ${after}, RIGHT(${text}, ${half})) END`;
}

/** A job's runs, newest first, with their output, and how many match. */
export async function listRuns(
  db: Queryable,
  filter: RunFilter,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ runs: Run[]; total: number }> {
  const stretches = await countRuns(db, filter);
  const total = stretches.reduce((sum, { matching }) => sum + matching, 0);
  const { ranges, skipped } = locatePage(stretches, { limit, offset });
  if (ranges.length === 0) return { runs: [], total };
  const page = await db
    .select({ id: jobRuns.id })
    .from(jobRuns, { forceIndex: 'job_runs_list' })
    .where(and(conditionOf(filter), or(...ranges.map((range) => between(jobRuns.id, range.firstId, range.lastId)))))
    .orderBy(desc(jobRuns.id))
    .limit(limit)
    .offset(skipped);
  if (page.length === 0) return { runs: [], total };
  // The page is found in the index first: outputs are read for its rows only.
  const share = PAGE_CHARACTERS_MAX / (2 * page.length);
  const ids = page.map(({ id }) => id);
  const [stdout, stderr] = [shareOf(runOutputs.stdout, share), shareOf(runOutputs.stderr, share)];
  const statement = db
    .select({ ...getTableColumns(jobRuns), stdout, stderr })
    .from(jobRuns)
    .leftJoin(runOutputs, eq(runOutputs.runId, jobRuns.id))
    .where(inArray(jobRuns.id, ids))
    .orderBy(desc(jobRuns.id))
    .prepare();
  return { runs: await readQuickly(statement).execute(), total };
}
