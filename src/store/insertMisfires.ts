import type { Misfire, MisfirePolicy, MisfireReason } from '../domain/misfire.ts';
import type { Queryable } from './database.ts';
import { misfires } from './schema.ts';

export interface NewMisfire extends Misfire {
  jobId: number;
  userId: number;
  reason: MisfireReason;
  policy: MisfirePolicy;
}

/** Records occurrences that did not run, in the transaction that passes them over. */
export async function insertMisfires(tx: Queryable, rows: NewMisfire[]): Promise<void> {
  if (rows.length > 0) await tx.insert(misfires).values(rows);
}
