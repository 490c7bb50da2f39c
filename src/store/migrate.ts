import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/mysql2';
import { migrate } from 'drizzle-orm/mysql2/migrator';
import mysql from 'mysql2/promise';
import type { DatabaseConfig } from '../platform/config.ts';
import { errorCode, serverOptions } from './database.ts';

const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../drizzle', import.meta.url));
/** A migration of a large table may take this long while other nodes wait for it. */
const LOCK_SECONDS = 600;

/**
 * Creates the database if it is missing and applies the migrations that it lacks, once: nodes that start together wait
 * for each other on a named lock, which the server drops with the connection if its holder dies.
 */
export async function migrateDatabase(config: DatabaseConfig): Promise<void> {
  const { name } = config;
  const connection = await mysql.createConnection(serverOptions(config));
  try {
    await useDatabase(connection, name);
    await withLock(connection, `bjr-migrate:${name}`.slice(0, 64), () =>
      migrate(drizzle(connection), { migrationsFolder: MIGRATIONS_FOLDER }),
    );
  } finally {
    await connection.end();
  }
}

async function useDatabase(connection: mysql.Connection, name: string): Promise<void> {
  try {
    await connection.query('USE ??', [name]);
  } catch (error) {
    if (errorCode(error) !== 'ER_BAD_DB_ERROR') throw error;
    await connection.query('CREATE DATABASE IF NOT EXISTS ?? CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci', [name]);
    await connection.query('USE ??', [name]);
  }
}

async function withLock(connection: mysql.Connection, lock: string, work: () => Promise<void>): Promise<void> {
  const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT GET_LOCK(?, ?) AS held', [lock, LOCK_SECONDS]);
  if (rows[0]?.['held'] !== 1) {
    throw new Error(`Another node has been migrating for more than ${LOCK_SECONDS} s; look at it, then start again`);
  }
  await work();
  await connection.query('SELECT RELEASE_LOCK(?)', [lock]);
}
