import { Socket } from 'node:net';
import { sql } from 'drizzle-orm';
import { drizzle, type MySql2Database } from 'drizzle-orm/mysql2';
import mysql from 'mysql2/promise';
import type { DatabaseConfig } from '../platform/config.ts';
import type { Emit } from '../platform/events.ts';
import { giveUpSilent } from './giveUpSilent.ts';

export type Queryable = Pick<
  MySql2Database,
  'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'execute' | '$count'
>;

export interface Transaction extends Queryable {
  /**
   * A write of many rows by a statement whose text is constant (`VALUES ?`, or rowsParameter.ts): to build one with a chunk
   * a cell costs several times what sending it does. Only what every run goes through is written so.
   */
  write(text: string, values: unknown[]): Promise<mysql.ResultSetHeader>;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in one read-committed transaction. Deadlocks (1213) and lock timeouts (1205) roll it back and run it
   * again, a bounded number of times: `work` must have no effect outside the database.
   */
  transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** A connection of its own, outside the pool: for a lock that lives as long as its connection. */
  dedicate(): Promise<DedicatedConnection>;
  /** How much of the pool is in use. */
  poolUse(): PoolUse;
  close(): Promise<void>;
}

export interface PoolUse {
  busy: number;
  idle: number;
  /** Statements and transactions that wait for a connection. */
  waiting: number;
  max: number;
}

export interface DedicatedConnection {
  query(text: string, values: unknown[]): Promise<Record<string, unknown>[]>;
  /** Called once when the connection is gone, for whatever reason. */
  onLost(listener: () => void): void;
  close(): void;
}

const ATTEMPTS_MAX = 8;
/** Errors after which a transaction is run again. */
export const RETRIED = new Map([
  ['ER_LOCK_DEADLOCK', 'deadlock'],
  ['ER_LOCK_WAIT_TIMEOUT', 'lock timeout'],
  // MariaDB: the row changed since the snapshot that this transaction reads.
  ['ER_CHECKREAD', 'row changed'],
]);

/**
 * A process that is stopped (SIGSTOP, a paused machine) in the middle of a transaction keeps its connection, and so its locks:
 * nobody could take its jobs over for as long as it stands still. After so long without a statement the server ends the
 * session. It is longer than a living process keeps a silent connection (giveUpSilent.ts), which therefore
 * sees none of it unless it stood still itself.
 */
const SILENCE_MAX_SECONDS = 25;

/**
 * Sessions speak UTC and wait no longer than 5 s for a row: whoever waits is retried, nobody hangs. The server's own mode does not
 * count: without backslashes as escapes quoted values would be code, and a mode that is not strict cuts them off in silence.
 */
const SESSION = [
  `SET wait_timeout = ${SILENCE_MAX_SECONDS}`,
  "SET time_zone = '+00:00', innodb_lock_wait_timeout = 5, autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
];

export function createDatabase(config: DatabaseConfig, emit: Emit = () => {}): Database {
  const pool = mysql.createPool({ ...connectionOptions(config), connectionLimit: config.connectionsMax });
  // mysql2 runs a connection's statements in order, so these come before any other.
  pool.pool.on('connection', (connection) => {
    giveUpSilent(socketOf(connection));
    for (const statement of SESSION) connection.query(statement, () => {});
  });
  const db = drizzle(pool);
  return Object.assign(db, {
    transact: <T>(work: (tx: Transaction) => Promise<T>) => retryDeadlocks(() => transactOnce(pool, work), emit),
    dedicate: () => dedicate(config),
    poolUse: () => poolUse(pool.pool, config.connectionsMax),
    close: () => pool.end(),
  });
}

function socketOf(connection: object): Socket {
  if ('stream' in connection && connection.stream instanceof Socket) return connection.stream;
  throw new Error('mysql2 has no socket');
}

/** How to reach the server, whatever is done there. */
export function serverOptions({ host, port, username: user, password, tls }: DatabaseConfig): mysql.ConnectionOptions {
  // A certificate that is not the host's is refused before the password is sent; so is a server without TLS.
  const ssl = tls && { verifyIdentity: true, ...(tls.ca !== null && { ca: tls.ca }) };
  return { host, port, user, password, connectTimeout: 5000, ...(ssl && { ssl }) };
}

/** mysql2 has no other way to ask. */
function poolUse(pool: object, max: number): PoolUse {
  const length = (name: string) => {
    const queue: unknown = Reflect.get(pool, name);
    if (typeof queue !== 'object' || !queue || !('length' in queue)) throw new Error(`mysql2's pool has no ${name}`);
    return Number(queue.length);
  };
  const idle = length('_freeConnections');
  return { busy: length('_allConnections') - idle, idle, waiting: length('_connectionQueue'), max };
}

function connectionOptions(config: DatabaseConfig): mysql.ConnectionOptions {
  return {
    ...serverOptions(config),
    database: config.name,
    charset: 'utf8mb4',
    timezone: 'Z',
    supportBigNumbers: true,
    // A stack for each statement costs 4 % of a page of jobs. What drizzle throws names its caller without it; the few raw
    // statements (write, BEGIN, COMMIT, dedicate) are known by their text.
    trace: false,
  };
}

async function transactOnce<T>(pool: mysql.Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const connection = await pool.getConnection();
  try {
    await connection.query('BEGIN');
    const result = await work(transactionOn(connection));
    await connection.query('COMMIT');
    return result;
  } catch (error) {
    // One that cannot roll back is given up, and its transaction with it.
    await connection.query('ROLLBACK').catch(() => connection.destroy());
    throw error;
  } finally {
    connection.release();
  }
}

/** One for each connection: it keeps the statements that were built for it (prepare.ts). */
const transactions = new WeakMap<object, Transaction>();

function transactionOn(connection: mysql.PoolConnection): Transaction {
  // mysql2 gives a pool's connection a new wrapper each time.
  const found = transactions.get(connection.connection);
  if (found) return found;
  const write = async (text: string, values: unknown[]) => {
    const [header] = await connection.query<mysql.ResultSetHeader>(text, values);
    return header;
  };
  const made = Object.assign(drizzle(connection), { write });
  transactions.set(connection.connection, made);
  return made;
}

async function retryDeadlocks<T>(run: () => Promise<T>, emit: Emit): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const code = errorCode(error);
      if (!RETRIED.has(code) || attempt >= ATTEMPTS_MAX) throw error;
      emit({ type: 'transaction_retried', code, attempt });
      // 5, 10, 20 … 640 ms, half of it at random: the parties to a deadlock must not meet again.
      const delayMs = 5 * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

/** The database's own error code, such as ER_DUP_ENTRY, from whichever layer wrapped it; '' where there is none. */
export function errorCode(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return '';
}

/** Rows that a write matched (mysql2 counts matched rows, not changed ones). */
export function affectedRows(result: readonly unknown[]): number {
  const [header] = result;
  if (typeof header === 'object' && header && 'affectedRows' in header) return Number(header.affectedRows);
  throw new Error('Not the answer of a write');
}

/** The first id that an insert gave out. */
export function insertId(result: readonly unknown[]): number {
  const [header] = result;
  if (typeof header === 'object' && header && 'insertId' in header) return Number(header.insertId);
  throw new Error('Not the answer of an insert');
}

/** The database's clock, in microseconds of the Unix epoch: datetime values lose what is below the millisecond. */
export const NOW_MICROS = sql<number>`TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))`;

/** The database's clock, the only one that decides. Milliseconds of the Unix epoch, with fractions. */
export async function readNowMs(db: Queryable): Promise<number> {
  const [row] = await db.select({ micros: NOW_MICROS }).from(sql`DUAL`);
  if (!row) throw new Error('The database did not tell its time');
  return row.micros / 1000;
}

async function dedicate(config: DatabaseConfig): Promise<DedicatedConnection> {
  const connection = await mysql.createConnection(connectionOptions(config));
  if ('connection' in connection) giveUpSilent(socketOf(Object(connection.connection)));
  await connection.query('SET wait_timeout = ?', [SILENCE_MAX_SECONDS]);
  return {
    async query(text, values) {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(text, values);
      return rows;
    },
    onLost(listener) {
      let isTold = false;
      const tell = () => {
        if (!isTold) listener();
        isTold = true;
      };
      connection.on('error', tell);
      connection.on('end', tell);
    },
    close: () => connection.destroy(),
  };
}
