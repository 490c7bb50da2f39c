import type { Queryable } from './database.ts';

/**
 * A statement whose text is built once for a connection pool, or for one of its connections where it is part of transactions, and
 * not each time: drizzle's building takes longer than the database takes for a short read.
 */
export function prepare<Statement>(build: (db: Queryable) => Statement): (db: Queryable) => Statement {
  const built = new WeakMap<Queryable, Statement>();
  return (db) => {
    const found = built.get(db) ?? build(db);
    built.set(db, found);
    return found;
  };
}
