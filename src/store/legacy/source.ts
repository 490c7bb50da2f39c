import mysql from 'mysql2/promise';
import type { LegacyRow } from '../../domain/legacy.ts';
import type { LegacyDatabaseConfig } from '../../platform/config.ts';

/** The columns that are read, where they are there; the first of each table must be. */
const COLUMNS = {
  users: { required: ['id', 'username', 'password_digest'], optional: ['created_at', 'updated_at'] },
  jobs: {
    required: ['id', 'user_id', 'name', 'cron', 'command'],
    optional: [
      'enabled',
      'timezone',
      'success_callback',
      'failure_callback',
      'last_run',
      'next_run',
      'success',
      'created_at',
      'updated_at',
    ],
  },
  job_runs: {
    required: ['id', 'job_id'],
    optional: [
      'success',
      'return_code',
      'error_message',
      'start_time',
      'end_time',
      'scheduled_start_time',
      'is_manual',
      'created_at',
      'updated_at',
    ],
  },
  folders: { required: ['id', 'user_id', 'name', 'expression'], optional: ['created_at', 'updated_at'] },
  job_stats: {
    required: ['id', 'user_id', 'period', 'start_dt'],
    optional: [
      'runs',
      'failed',
      'job_count',
      'avg_runtime',
      'max_runtime',
      'min_runtime',
      'total_jobs',
      'total_enabled',
      'avg_job_lag',
      'max_job_lag',
      'min_job_lag',
    ],
  },
};
export type LegacyTable = keyof typeof COLUMNS;

/** Without these there is nothing to take over; the others may be missing. */
const REQUIRED_TABLES = new Set<LegacyTable>(['users', 'jobs', 'job_runs']);

/** The first BJR's database as it was at one instant; nothing is ever written to it. */
export interface LegacySource {
  /** Tables that lack what is needed, each with what. They count as empty. */
  missing: string[];
  count(table: LegacyTable): Promise<number>;
  /** Rows after an id, in the order of their ids. */
  read(table: LegacyTable, page: { afterId: number; limit: number }): Promise<LegacyRow[]>;
  readJobs(ids: number[]): Promise<LegacyRow[]>;
  /** The tags of some jobs by the jobs' ids. */
  readTags(jobIds: number[]): Promise<Map<number, string[]>>;
  /** Tags that no job has. */
  countUnusedTags(): Promise<number>;
  /** How many bytes the outputs of some runs are, by the runs' ids. */
  measureOutputs(runIds: number[]): Promise<Map<number, number>>;
  readOutputs(runIds: number[]): Promise<Map<number, { stdout: string; stderr: string }>>;
  close(): void;
}

/** @throws where the database cannot be read or is not the first BJR's */
export async function openLegacySource(config: LegacyDatabaseConfig): Promise<LegacySource> {
  const { name: database, host, port, username: user, password } = config;
  const connection = await mysql.createConnection({
    host,
    port,
    user,
    password,
    database,
    charset: 'utf8mb4',
    timezone: 'Z',
    supportBigNumbers: true,
    connectTimeout: 5000,
  });
  const query = async (text: string, values: unknown[] = []) => {
    const [rows] = await connection.query<mysql.RowDataPacket[]>(text, values);
    return rows;
  };
  try {
    await query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    return createSource(query, await readColumns(query), () => connection.destroy());
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

type Query = (text: string, values?: unknown[]) => Promise<mysql.RowDataPacket[]>;

async function readColumns(query: Query): Promise<Map<string, Set<string>>> {
  const rows = await query(
    `SELECT table_name AS name, column_name AS col FROM information_schema.columns WHERE table_schema = DATABASE()`,
  );
  const byTable = Map.groupBy(rows, (row) => String(row['name']).toLowerCase());
  return new Map([...byTable].map(([table, found]) => [table, new Set(found.map((row) => String(row['col'])))]));
}

const byId = <T>(rows: mysql.RowDataPacket[], value: (row: mysql.RowDataPacket) => T) =>
  new Map(rows.map((row) => [Number(row['id']), value(row)]));

const textOf = (value: unknown) => {
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('utf8') : '';
};

function createSource(query: Query, columns: Map<string, Set<string>>, close: () => void): LegacySource {
  const has = (table: string, names: string[]) => names.every((name) => columns.get(table)?.has(name));
  const lacking = (Object.keys(COLUMNS) as LegacyTable[]).filter((table) => !has(table, COLUMNS[table].required));
  const describe = (table: LegacyTable) =>
    `${table}: ${columns.has(table) ? `not all of ${COLUMNS[table].required.join(', ')}` : 'there is no such table'}`;
  const fatal = lacking.filter((table) => REQUIRED_TABLES.has(table));
  if (fatal.length > 0) throw new Error(`This is not the first BJR's database. ${fatal.map(describe).join('; ')}`);

  const namesOf = (table: LegacyTable) => {
    const { required, optional } = COLUMNS[table];
    return [...required, ...optional.filter((name) => columns.get(table)?.has(name))];
  };
  const isUsable = (table: LegacyTable) => !lacking.includes(table);
  const hasTags = has('tags', ['id', 'name']) && has('taggings', ['tag_id', 'taggable_id', 'taggable_type']);
  const streams = ['stdout', 'stderr'].filter((name) => columns.get('job_runs')?.has(name));
  const bytes = streams.map((name) => `COALESCE(LENGTH(${name}), 0)`).join(' + ') || '0';
  return {
    missing: [...lacking.map(describe), ...(hasTags ? [] : ['tags, taggings: not there, or not as expected'])],
    async count(table) {
      if (!isUsable(table)) return 0;
      const [row] = await query(`SELECT COUNT(*) AS n FROM ${table}`);
      return Number(row?.['n']);
    },
    async read(table, { afterId, limit }) {
      if (!isUsable(table)) return [];
      return query(`SELECT ?? FROM ${table} WHERE id > ? ORDER BY id LIMIT ?`, [namesOf(table), afterId, limit]);
    },
    readJobs: (ids) => query('SELECT ?? FROM jobs WHERE id IN (?)', [namesOf('jobs'), ids]),
    async readTags(jobIds) {
      if (!hasTags || jobIds.length === 0) return new Map();
      const rows = await query(
        `SELECT DISTINCT taggings.taggable_id AS id, tags.name AS name FROM taggings JOIN tags ON tags.id = taggings.tag_id
         WHERE taggings.taggable_type = 'Job' AND taggings.taggable_id IN (?) ORDER BY tags.name`,
        [jobIds],
      );
      const byJob = Map.groupBy(rows, (row) => Number(row['id']));
      return new Map([...byJob].map(([id, found]) => [id, found.map((row) => String(row['name']))]));
    },
    async countUnusedTags() {
      if (!hasTags) return 0;
      const [row] = await query(
        `SELECT COUNT(*) AS n FROM tags WHERE NOT EXISTS (
           SELECT 1 FROM taggings WHERE taggings.tag_id = tags.id AND taggings.taggable_type = 'Job')`,
      );
      return Number(row?.['n']);
    },
    async measureOutputs(runIds) {
      const rows = await query(`SELECT id, ${bytes} AS bytes FROM job_runs WHERE id IN (?)`, [runIds]);
      return byId(rows, (row) => Number(row['bytes']));
    },
    async readOutputs(runIds) {
      if (runIds.length === 0 || streams.length === 0) return new Map();
      const rows = await query(`SELECT ?? FROM job_runs WHERE id IN (?)`, [['id', ...streams], runIds]);
      return byId(rows, (row) => ({ stdout: textOf(row['stdout']), stderr: textOf(row['stderr']) }));
    },
    close,
  };
}
