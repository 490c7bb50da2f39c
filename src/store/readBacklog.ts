import { and, eq, lte, type SQL, sql } from 'drizzle-orm';
import type { MySqlColumn } from 'drizzle-orm/mysql-core';
import type { Backlog } from '../platform/metrics/backlog.ts';
import { type Database, NOW_MICROS } from './database.ts';
import { deliveries, jobs } from './schema.ts';

/** No further: where more is queued there is enough to do already, and to count it all would only add to that. */
const COUNTED_MAX = 10_000;
const NOW = sql`UTC_TIMESTAMP(6)`;

/** What waits, for the metrics: one statement, each part of it answered from the first rows of an index. */
export async function readBacklog(db: Database): Promise<Backlog> {
  const due = { index: 'jobs_claim', by: jobs.dueAt, where: eq(jobs.state, 'due') };
  const idle = { index: 'jobs_mark', by: jobs.nextRun, where: and(eq(jobs.state, 'idle'), eq(jobs.enabled, true)) };
  const pending = { index: 'deliveries_claim', by: deliveries.nextAttemptAt, where: eq(deliveries.state, 'pending') };
  const [row] = await db
    .select({
      nowMicros: NOW_MICROS,
      dueJobs: count({ ...due, where: and(due.where, lte(due.by, NOW)) }),
      dueSeconds: secondsOverdue(due),
      unmarkedSeconds: secondsOverdue(idle),
      pendingCallbacks: count(pending),
      overdueCallbackSeconds: secondsOverdue(pending),
    })
    .from(sql`DUAL`);
  if (!row) throw new Error('The database did not answer');
  const { nowMicros, ...counts } = row;
  return { ...counts, databaseNowMs: nowMicros / 1000 };
}

/** Rows in the order of an index. */
interface Queue {
  index: string;
  by: MySqlColumn;
  where: SQL | undefined;
}

const rows = ({ index, by, where }: Queue) =>
  sql`FROM ${by.table} FORCE INDEX (${sql.identifier(index)}) WHERE ${where} AND ${by} IS NOT NULL`;

const count = (queue: Queue) =>
  sql<number>`(SELECT COUNT(*) FROM (SELECT 1 ${rows(queue)} LIMIT ${COUNTED_MAX}) counted)`.mapWith(Number);

/** How long ago the first one should have had its turn; 0 where none should yet. */
function secondsOverdue(queue: Queue) {
  const first = sql`(SELECT ${queue.by} ${rows(queue)} ORDER BY ${queue.by} LIMIT 1)`;
  return sql<number>`GREATEST(0, COALESCE(TIMESTAMPDIFF(MICROSECOND, ${first}, ${NOW}), 0)) / 1000000`.mapWith(Number);
}
