import { and, asc, desc, eq, inArray, lte, notInArray, sql } from 'drizzle-orm';
import { type DeliveryState, retryDeliveryMs } from '../domain/delivery.ts';
import { affectedRows, type Database, NOW_MICROS, type Queryable } from './database.ts';
import { deliveries, deliveryAttempts, jobRuns, jobs, runOutputs } from './schema.ts';

export type Delivery = typeof deliveries.$inferSelect;
export type DeliveryAttempt = typeof deliveryAttempts.$inferSelect;

/** The outbox: written in the transaction that ends the runs, so neither is there without the other. */
export async function insertDeliveries(
  tx: Queryable,
  rows: Pick<Delivery, 'jobId' | 'userId' | 'runId' | 'url'>[],
): Promise<void> {
  if (rows.length > 0) await tx.insert(deliveries).values(rows);
}

export type ClaimedDelivery = Pick<Delivery, 'id' | 'jobId' | 'userId' | 'runId' | 'url' | 'attempts' | 'queuedAt'>;

/**
 * Takes deliveries that are due, oldest first. Each is due again `holdMs` later, should its worker die with it; `attempts`
 * tells a late answer from the present one.
 */
export function claimDeliveries(
  db: Database,
  { limit, exceptUsers, holdMs }: { limit: number; exceptUsers: number[]; holdMs: number },
): Promise<ClaimedDelivery[]> {
  const isDue = and(eq(deliveries.state, 'pending'), lte(deliveries.nextAttemptAt, sql`UTC_TIMESTAMP(6)`));
  const isWanted = exceptUsers.length > 0 ? notInArray(deliveries.userId, exceptUsers) : undefined;
  return db.transact(async (tx) => {
    const { id, jobId, userId, runId, url, attempts, queuedAt } = deliveries;
    const due = await tx
      .select({ id, jobId, userId, runId, url, attempts, queuedAt })
      .from(deliveries, { forceIndex: 'deliveries_claim' })
      .where(and(isDue, isWanted))
      .orderBy(asc(deliveries.nextAttemptAt), asc(deliveries.id))
      .limit(limit)
      .for('update', { skipLocked: true });
    if (due.length === 0) return [];
    const ids = due.map((delivery) => delivery.id);
    await tx
      .update(deliveries)
      .set({
        attempts: sql`${deliveries.attempts} + 1`,
        nextAttemptAt: sql`UTC_TIMESTAMP(6) + INTERVAL ${holdMs * 1000} MICROSECOND`,
      })
      .where(inArray(deliveries.id, ids));
    return due.map((delivery) => ({ ...delivery, attempts: delivery.attempts + 1 }));
  });
}

/** Milliseconds until the next delivery is due by the database's clock; null where none is pending. */
export async function msToNextDelivery(db: Queryable): Promise<number | null> {
  const [next] = await db
    .select({ at: deliveries.nextAttemptAt, nowMicros: NOW_MICROS })
    .from(deliveries, { forceIndex: 'deliveries_claim' })
    .where(eq(deliveries.state, 'pending'))
    .orderBy(asc(deliveries.nextAttemptAt), asc(deliveries.id))
    .limit(1);
  return next ? Math.max(0, next.at.getTime() - next.nowMicros / 1000) : null;
}

/** What a callback tells; undefined where the job or the run is not kept any more. */
export async function findDeliveryContent(db: Queryable, { jobId, runId }: { jobId: number; runId: number }) {
  const [row] = await db
    .select({ run: jobRuns, jobName: jobs.name, stdout: runOutputs.stdout, stderr: runOutputs.stderr })
    .from(jobRuns)
    .innerJoin(jobs, eq(jobs.id, jobRuns.jobId))
    .leftJoin(runOutputs, eq(runOutputs.runId, jobRuns.id))
    .where(and(eq(jobRuns.id, runId), eq(jobRuns.jobId, jobId)));
  return row;
}

export type DeliveryContent = NonNullable<Awaited<ReturnType<typeof findDeliveryContent>>>;

export interface DeliveryTry {
  startedAt: Date;
  durationMs: number;
  status: number | null;
  error: string;
  /** There is nothing to be tried again. */
  isFinal?: boolean;
}

/** Notes a try and what follows from it. Null: the delivery has been taken up by another meanwhile. */
export function recordTry(db: Database, delivery: ClaimedDelivery, end: DeliveryTry): Promise<DeliveryState | null> {
  const { startedAt, durationMs, status, error } = end;
  return db.transact(async (tx) => {
    const ageMs = startedAt.getTime() + durationMs - delivery.queuedAt.getTime();
    const waitMs = end.isFinal ? null : retryDeliveryMs(ageMs, Math.random());
    const state = error === '' ? 'delivered' : waitMs === null ? 'failed' : 'pending';
    const result = await tx
      .update(deliveries)
      .set({
        state,
        lastStatus: status,
        lastError: error,
        ...(waitMs !== null && {
          nextAttemptAt: sql`UTC_TIMESTAMP(6) + INTERVAL ${Math.round(waitMs * 1000)} MICROSECOND`,
        }),
        updatedAt: sql`UTC_TIMESTAMP(6)`,
      })
      .where(
        and(
          eq(deliveries.id, delivery.id),
          eq(deliveries.attempts, delivery.attempts),
          eq(deliveries.state, 'pending'),
        ),
      );
    if (affectedRows(result) !== 1) return null;
    const attempt = { deliveryId: delivery.id, attempt: delivery.attempts, startedAt, durationMs, status, error };
    await tx.insert(deliveryAttempts).values(attempt);
    return state;
  });
}

/** A job's deliveries, newest first, and how many there are. */
export async function listDeliveries(
  db: Queryable,
  { jobId, limit, offset }: { jobId: number; limit: number; offset: number },
): Promise<{ deliveries: Delivery[]; total: number }> {
  const condition = eq(deliveries.jobId, jobId);
  const found = await db
    .select()
    .from(deliveries)
    .where(condition)
    .orderBy(desc(deliveries.id))
    .limit(limit)
    .offset(offset);
  return { deliveries: found, total: await db.$count(deliveries, condition) };
}

/** The user's delivery, with its tries; one of a job that is gone is gone with it. */
export async function findDelivery(db: Queryable, { id, userId }: { id: number; userId: number }) {
  const [row] = await db
    .select({ delivery: deliveries })
    .from(deliveries)
    .innerJoin(jobs, eq(jobs.id, deliveries.jobId))
    .where(and(eq(deliveries.id, id), eq(deliveries.userId, userId)));
  if (!row) return undefined;
  const tries = await db
    .select()
    .from(deliveryAttempts)
    .where(eq(deliveryAttempts.deliveryId, id))
    .orderBy(desc(deliveryAttempts.id))
    .limit(TRIES_SHOWN);
  return { ...row.delivery, tries };
}

const TRIES_SHOWN = 100;

/** Has a delivery made again from now on, whatever became of it. */
export async function requeueDelivery(tx: Queryable, id: number): Promise<void> {
  await tx
    .update(deliveries)
    .set({
      state: 'pending',
      queuedAt: sql`UTC_TIMESTAMP(6)`,
      nextAttemptAt: sql`UTC_TIMESTAMP(6)`,
      updatedAt: sql`UTC_TIMESTAMP(6)`,
    })
    .where(eq(deliveries.id, id));
}

const BATCH = 500;
/** Batches in one pass: what has piled up is worked off over many. */
const BATCHES_MAX = 20;

/** Removes deliveries that are done and past their time, oldest first, by primary key in small batches; 0 days: none. */
export async function pruneDeliveries(db: Database, keepDays: number): Promise<number> {
  let pruned = 0;
  for (let batch = 0; keepDays > 0 && batch < BATCHES_MAX; batch++) {
    const rows = await db
      .select({ id: deliveries.id, state: deliveries.state })
      .from(deliveries)
      .where(lte(deliveries.createdAt, sql`UTC_TIMESTAMP(6) - INTERVAL ${keepDays} DAY`))
      .orderBy(asc(deliveries.createdAt))
      .limit(BATCH);
    const ids = rows.filter(({ state }) => state !== 'pending').map(({ id }) => id);
    pruned += ids.length;
    await deleteDeliveries(db, ids);
    if (ids.length < BATCH) break;
  }
  return pruned;
}

export async function deleteDeliveries(db: Queryable, ids: number[]): Promise<void> {
  if (ids.length === 0) return;
  const attempts = await db
    .select({ id: deliveryAttempts.id })
    .from(deliveryAttempts)
    .where(inArray(deliveryAttempts.deliveryId, ids));
  const attemptIds = attempts.map(({ id }) => id);
  if (attemptIds.length > 0) await db.delete(deliveryAttempts).where(inArray(deliveryAttempts.id, attemptIds));
  await db.delete(deliveries).where(inArray(deliveries.id, ids));
}
