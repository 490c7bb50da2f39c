import { and, between, eq, gte, isNotNull, lte, ne, type SQL, sql } from 'drizzle-orm';
import type { Queryable } from './database.ts';
import { jobRuns } from './schema.ts';

export interface RunFilter {
  jobId: number;
  succeeded?: boolean | undefined;
  startedFrom?: Date | undefined;
  finishedUntil?: Date | undefined;
}

/** A stretch of a job's runs, and how many of them match. */
export interface Stretch {
  firstId: number;
  lastId: number;
  matching: number;
}

export function conditionOf({ jobId, succeeded, startedFrom, finishedUntil }: RunFilter): SQL | undefined {
  const bySuccess = succeeded ? eq(jobRuns.outcome, 'succeeded') : ne(jobRuns.outcome, 'succeeded');
  return and(
    eq(jobRuns.jobId, jobId),
    succeeded === undefined ? undefined : and(isNotNull(jobRuns.outcome), bySuccess),
    startedFrom && gte(jobRuns.startedAt, startedFrom),
    finishedUntil && lte(jobRuns.finishedAt, finishedUntil),
  );
}

/**
 * How many of a job's runs match, by stretches, the newest first: what blocks say where all or none of a block's runs are in the
 * times asked for, and by counting elsewhere: blocks at an edge, the runs since the last block, and those before the first, where
 * older ones have been removed.
 */
export async function countRuns(db: Queryable, filter: RunFilter): Promise<Stretch[]> {
  const blocks = await readBlocks(db, filter);
  const [newest, oldest] = [blocks.at(0), blocks.at(-1)];
  const stretches: Uncounted[] = [{ firstId: (newest?.lastId ?? 0) + 1, lastId: MAX_ID, matching: null }];
  for (const { firstId, lastId, matching } of blocks) stretches.push({ firstId, lastId, matching });
  if (oldest && oldest.oldestId < oldest.firstId) {
    stretches.push({ firstId: 0, lastId: oldest.firstId - 1, matching: null });
  }
  return countStretches(db, filter, join(stretches));
}

type Uncounted = Omit<Stretch, 'matching'> & { matching: number | null };

const MAX_ID = Number.MAX_SAFE_INTEGER;

/** Null where its runs have to be counted. Removed by a version of this program that knows no blocks: what is before `oldestId`. */
async function readBlocks(db: Queryable, filter: RunFilter): Promise<(Uncounted & { oldestId: number })[]> {
  const { jobId } = filter;
  const [blocks] = (await db.execute(sql`
    SELECT first_id AS firstId, last_id AS lastId, oldest.id AS oldestId, CASE
      WHEN last_id < oldest.id OR ${isOutside(filter)} THEN 0
      WHEN first_id >= oldest.id AND ${isInside(filter)} THEN ${matchingOf(filter)} END AS matching
    FROM run_blocks CROSS JOIN (SELECT COALESCE(MIN(id), ${MAX_ID}) AS id FROM job_runs WHERE job_id = ${jobId}) AS oldest
    WHERE job_id = ${jobId} ORDER BY first_id DESC`)) as unknown as [(Uncounted & { oldestId: number })[]];
  return blocks;
}

/** Neighbours that have to be counted are counted as one. */
function join(stretches: Uncounted[]): Uncounted[] {
  const joined: Uncounted[] = [];
  for (const stretch of stretches) {
    const newer = joined.at(-1);
    if (newer?.matching === null && stretch.matching === null) newer.firstId = stretch.firstId;
    else joined.push(stretch);
  }
  return joined;
}

/** In one statement, whose ranges are constants: the optimizer makes no range of what it reads from another table. */
async function countStretches(db: Queryable, filter: RunFilter, stretches: Uncounted[]): Promise<Stretch[]> {
  const counts = stretches
    .filter(({ matching }) => matching === null)
    .map(
      ({ firstId, lastId }) => sql`SELECT ${firstId} AS firstId, COUNT(*) AS n FROM job_runs FORCE INDEX (job_runs_list)
        WHERE ${conditionOf(filter)} AND ${between(jobRuns.id, firstId, lastId)}`,
    );
  const [rows] = (await db.execute(sql.join(counts, sql` UNION ALL `))) as unknown as [
    { firstId: number; n: number }[],
  ];
  const found = new Map(rows.map(({ firstId, n }) => [firstId, n]));
  return stretches.map(({ matching, ...stretch }) => ({
    ...stretch,
    matching: matching ?? found.get(stretch.firstId) ?? 0,
  }));
}

const matchingOf = ({ succeeded }: RunFilter) => {
  if (succeeded === undefined) return sql`run_count`;
  return succeeded ? sql`succeeded_count` : sql`run_count - succeeded_count`;
};

const isInside = ({ startedFrom, finishedUntil }: RunFilter) =>
  and(
    sql`TRUE`,
    startedFrom && sql`started_from >= ${startedFrom}`,
    finishedUntil && sql`finished_until <= ${finishedUntil}`,
  );

const isOutside = ({ startedFrom, finishedUntil }: RunFilter) =>
  sql.join(
    [
      sql`FALSE`,
      ...(startedFrom ? [sql`started_until < ${startedFrom}`] : []),
      ...(finishedUntil ? [sql`finished_from > ${finishedUntil}`] : []),
    ],
    sql` OR `,
  );

/** Where a page is: its matching runs are in these ranges of ids, after so many others. */
export interface Place {
  ranges: Pick<Stretch, 'firstId' | 'lastId'>[];
  skipped: number;
}

/** Only the stretches that hold the page's runs: not those that come before, and not those where nothing matches. */
export function locatePage(stretches: Stretch[], { limit, offset }: { limit: number; offset: number }): Place {
  const ranges: Place['ranges'] = [];
  let skipped = 0;
  let before = 0;
  let isNextTo = false;
  for (const { firstId, lastId, matching } of stretches) {
    const isPart = matching > 0 && before + matching > offset && before < offset + limit;
    const newer = ranges.at(-1);
    if (isPart && newer && isNextTo) newer.firstId = firstId;
    else if (isPart) ranges.push({ firstId, lastId });
    if (isPart && !newer) skipped = offset - before;
    isNextTo = isPart;
    before += matching;
  }
  return { ranges, skipped };
}
