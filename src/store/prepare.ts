import type { Queryable } from './database.ts';

/**
 * A statement whose text is built once for a connection pool, and not for each request: drizzle's building takes longer than the
 * database takes for a short read. In a transaction, which has a builder of its own, it is built anew.
 */
export function prepare<Statement>(build: (db: Queryable) => Statement): (db: Queryable) => Statement {
  const built = new WeakMap<Queryable, Statement>();
  return (db) => {
    const found = built.get(db) ?? build(db);
    built.set(db, found);
    return found;
  };
}
