import { is, sql } from 'drizzle-orm';
import { getTableConfig, MySqlTable } from 'drizzle-orm/mysql-core';
import type { Database } from './database.ts';
import * as schema from './schema.ts';

/** What a session of BJR finds in force, by name; a name that the server does not know is missing. */
export async function readVariables(db: Database, names: string[]): Promise<Map<string, string>> {
  const list = sql.join(
    names.map((name) => sql`${name}`),
    sql`, `,
  );
  const [rows] = await db.execute(sql`SHOW SESSION VARIABLES WHERE Variable_name IN (${list})`);
  if (!Array.isArray(rows)) throw new Error('Not the answer of SHOW VARIABLES');
  return new Map(rows.map((row) => [String(Reflect.get(row, 'Variable_name')), String(Reflect.get(row, 'Value'))]));
}

export interface Index {
  name: string;
  table: string;
  isUnique: boolean;
  columns: string[];
}

/** Indexes of this version's tables that the database does not have, or has otherwise. */
export async function findMissingIndexes(db: Database): Promise<Index[]> {
  const rows = await db
    .select({
      table: sql<string>`LOWER(TABLE_NAME)`,
      name: sql<string>`LOWER(INDEX_NAME)`,
      columns: sql<string>`GROUP_CONCAT(LOWER(COLUMN_NAME) ORDER BY SEQ_IN_INDEX)`,
      isUnique: sql<number>`MAX(NON_UNIQUE) = 0`.mapWith(Boolean),
    })
    .from(sql`information_schema.STATISTICS`)
    .where(sql`TABLE_SCHEMA = DATABASE()`)
    .groupBy(sql`TABLE_NAME, INDEX_NAME`);
  const describe = ({ table, name, columns, isUnique }: Index) => `${table} ${name} ${columns.join()} ${isUnique}`;
  const found = new Set(rows.map((row) => describe({ ...row, columns: row.columns.split(',') })));
  return declaredIndexes().filter((index) => !found.has(describe(index)));
}

function declaredIndexes(): Index[] {
  const tables = Object.values(schema).filter((value) => is(value, MySqlTable));
  return tables.flatMap((table) => {
    const { name, indexes } = getTableConfig(table);
    return indexes.map(({ config }) => ({
      name: config.name,
      table: name,
      isUnique: config.unique ?? false,
      columns: config.columns.map((column) => String(Reflect.get(column, 'name'))),
    }));
  });
}
