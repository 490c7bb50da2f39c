import { sql } from 'drizzle-orm';
import type { Queryable } from './database.ts';

const STREAMS = 2;
/** What is no UTF-8 is kept as U+FFFD, three bytes for one; what the statement escapes has two. */
const BYTES_FOR_ONE_MAX = 3;
/** For the rest of the statement. */
const REST_BYTES = 65_536;

/**
 * The most bytes of a stream that the database takes, whatever they are: a statement beyond `max_allowed_packet` breaks the
 * connection, and would each time that the outcome is tried again.
 */
export async function outputBytesFitting(db: Queryable): Promise<number> {
  const [row] = await db.select({ bytes: sql<number>`@@max_allowed_packet` }).from(sql`DUAL`);
  if (!row) throw new Error('The database did not tell its limit');
  return Math.floor((row.bytes - REST_BYTES) / (STREAMS * BYTES_FOR_ONE_MAX));
}
