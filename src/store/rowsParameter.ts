/** A value of a row as JSON can carry it. */
type Cell = string | number | null;
/** Its type in SQL, and where its value comes from. */
export type Column<Row> = readonly [type: string, cellOf: (row: Row) => Cell];

/**
 * Many rows as one parameter: a JSON array of arrays, read as a table. The statement's text is the same for any number of
 * rows, and each row of an update finds its values by a key, where a CASE is searched for every column of every row. Join it
 * with STRAIGHT_JOIN and FORCE INDEX (PRIMARY): a scan of a small table would wait for rows that others have locked.
 */
export function rowsParameter<Row>(alias: string, columns: Record<string, Column<Row>>) {
  const entries = Object.entries(columns);
  const list = entries.map(([name, [type]], at) => `${name} ${type} PATH '$[${at}]' ERROR ON ERROR`);
  return {
    table: `JSON_TABLE(?, '$[*]' COLUMNS (${list.join(', ')})) AS ${alias}`,
    encode: (rows: Row[]) => JSON.stringify(rows.map((row) => entries.map(([, [, cellOf]]) => cellOf(row)))),
  };
}

/** An instant for a `DATETIME(6)`, in UTC. */
export const instantCell = (at: Date | null | undefined): string | null =>
  at ? at.toISOString().slice(0, -1).replace('T', ' ') : null;

/** Half of a character outside the basic plane is no text to the database's JSON. */
export const textCell = (text: string): string => text.toWellFormed();
