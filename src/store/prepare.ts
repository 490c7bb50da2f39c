import { Column, is, SQL } from 'drizzle-orm';
import type { Queryable } from './database.ts';

/**
 * A statement whose text is built once for a connection pool, or for one of its connections where it is part of transactions, and
 * not each time: drizzle's building takes longer than the database takes for a short read.
 */
export function prepare<Statement extends object>(build: (db: Queryable) => Statement): (db: Queryable) => Statement {
  const built = new WeakMap<Queryable, Statement>();
  return (db) => {
    const found = built.get(db) ?? readQuickly(build(db));
    built.set(db, found);
    return found;
  };
}

/**
 * drizzle's prepared read looks for the decoder of every cell of every row, and has mysql2 call a function for each of them. Here
 * that is settled once for the statement; the rows, which must be flat, are the same.
 */
export function readQuickly<Statement extends object>(statement: Statement): Statement {
  const text: unknown = Reflect.get(Object(Reflect.get(statement, 'query')), 'sql');
  const fields: unknown = Reflect.get(statement, 'fields');
  if (typeof text !== 'string' || !Array.isArray(fields)) throw new Error('This is no prepared read of drizzle');
  const cells = fields.map(cellOf);
  Reflect.set(statement, 'query', { sql: text, rowsAsArray: true, dateStrings: true });
  Reflect.set(statement, 'customResultMapper', (rows: unknown[][]) => rows.map((row) => decode(row, cells)));
  return statement;
}

interface Cell {
  name: string;
  decoder: { mapFromDriverValue(value: unknown): unknown };
}

function cellOf({ path, field }: { path: string[]; field: unknown }): Cell {
  const [name, ...further] = path;
  const holder = is(field, SQL) ? field : Reflect.get(Object(field), 'sql');
  const decoder = is(field, Column) ? field : Reflect.get(Object(holder), 'decoder');
  if (name === undefined || further.length > 0 || typeof decoder?.mapFromDriverValue !== 'function')
    throw new Error(`${path.join('.')} is no column of a flat row`);
  return { name, decoder };
}

function decode(row: unknown[], cells: Cell[]): Record<string, unknown> {
  const decoded: Record<string, unknown> = {};
  for (const [at, { name, decoder }] of cells.entries()) {
    const value = row[at];
    decoded[name] = value === null ? null : decoder.mapFromDriverValue(value);
  }
  return decoded;
}
