import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { type Config, loadConfig } from '../../src/platform/config.ts';
import { createDatabase, type Database } from '../../src/store/database.ts';
import { migrateDatabase } from '../../src/store/migrate.ts';

/** A database of a test's own on the suite's server. */
export interface TestEnvironment {
  /** Settings for processes. */
  env: Record<string, string>;
  config: Config;
  db: Database;
  /** A connection of the test's own, for what the product has no statement for. */
  query<T = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<T[]>;
  close(): Promise<void>;
  /** The same without dropping the database: its server is about to go. */
  disconnect(): Promise<void>;
}

export const databaseKind = process.env['BJR_TEST_DATABASE_KIND'] ?? 'mysql';

export async function createEnvironment(settings: Record<string, string> = {}): Promise<TestEnvironment> {
  const env = { ...baseEnvironment(), ...settings };
  const config = loadConfig(env);
  await migrateDatabase(config.database);
  const db = createDatabase(config.database);
  const { host, port, username: user, password, name: database } = config.database;
  const connection = await mysql.createConnection({ host, port, user, password, database, timezone: 'Z' });
  await connection.query("SET time_zone = '+00:00'");
  const disconnect = async () => {
    await connection.end();
    await db.close();
  };
  return {
    env,
    config,
    db,
    async query<T>(sql: string, values: unknown[] = []) {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(sql, values);
      return rows as T[];
    },
    async close() {
      await connection.query('DROP DATABASE ??', [database]);
      await disconnect();
    },
    disconnect,
  };
}

/** Settings that name a new database on the suite's server; nothing of the machine's own environment but PATH. */
export function baseEnvironment(): Record<string, string> {
  const given = (name: string) => {
    const value = process.env[name];
    if (!value) throw new Error(`${name} is not set: run the tests with bin/test or vitest`);
    return value;
  };
  return {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'test',
    BJR_DATABASE: `bjr_test_${randomBytes(6).toString('hex')}`,
    BJR_DATABASE_HOST: '127.0.0.1',
    BJR_DATABASE_PORT: given('BJR_TEST_DATABASE_PORT'),
    BJR_DATABASE_USERNAME: given('BJR_TEST_DATABASE_USERNAME'),
    BJR_DATABASE_PASSWORD: given('BJR_TEST_DATABASE_PASSWORD'),
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: given('BJR_TEST_REDIS_PORT'),
    METRICS_PORT: '0',
    JOB_DIRECTORY: '/tmp',
    STATE_DIRECTORY: join(tmpdir(), `bjr-state-${process.pid}`),
  };
}
