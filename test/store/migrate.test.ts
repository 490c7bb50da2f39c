import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/platform/config.ts';
import { createDatabase } from '../../src/store/database.ts';
import { migrateDatabase } from '../../src/store/migrate.ts';
import { requireSchema } from '../../src/store/requireSchema.ts';
import { baseEnvironment, createEnvironment, databaseKind } from '../support/environment.ts';
import { startProcess } from '../support/processes.ts';

test('five nodes that start together migrate and seed a new database once', async () => {
  const settings = baseEnvironment();
  const nodes = Array.from({ length: 5 }, () => startProcess('migrate', settings));
  expect(await Promise.all(nodes.map((node) => node.ended))).toEqual([0, 0, 0, 0, 0]);
  const env = await createEnvironment({ BJR_DATABASE: settings['BJR_DATABASE'] ?? '' });
  const migrations = readdirSync('drizzle').filter((name) => name.endsWith('.sql'));
  expect(await env.query('SELECT COUNT(*) AS n FROM __drizzle_migrations')).toEqual([{ n: migrations.length }]);
  expect(await env.query('SELECT username FROM users ORDER BY id')).toEqual([
    { username: 'root' },
    { username: 'admin' },
  ]);
  expect(await env.query('SELECT COUNT(*) AS n FROM jobs')).toEqual([{ n: 3 }]);
  expect(await env.query('SELECT COUNT(*) AS n FROM folders')).toEqual([{ n: 5 }]);
  await env.close();
});

test('a node refuses a database that lacks migrations, and says what to do', async () => {
  const config = loadConfig(baseEnvironment());
  const db = createDatabase(config.database);
  await expect(requireSchema(db)).rejects.toThrow('run: bjr migrate');
  await migrateDatabase(config.database);
  await requireSchema(db);
  await db.execute(`DROP DATABASE ${config.database.name}`);
  await db.close();
});

test('every index but the primary key says which query it serves, and text may be any Unicode', async () => {
  const env = await createEnvironment();
  const silent = await env.query(
    `SELECT TABLE_NAME, INDEX_NAME FROM information_schema.statistics
     WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME NOT IN ('PRIMARY', 'id') AND INDEX_COMMENT = ''`,
  );
  expect(silent).toEqual([]);
  const narrow = await env.query(
    `SELECT COLUMN_NAME FROM information_schema.columns
     WHERE TABLE_SCHEMA = DATABASE() AND CHARACTER_SET_NAME <> 'utf8mb4'`,
  );
  expect(narrow).toEqual([]);
  await env.close();
});

test('halves of a page that was split for a job are not merged as soon as that job is due again', async () => {
  const env = await createEnvironment();
  const prefix = databaseKind === 'mysql' ? 'INNODB' : 'INNODB_SYS';
  const thresholds = await env.query(
    `SELECT DISTINCT MERGE_THRESHOLD AS percent
     FROM information_schema.${prefix}_INDEXES JOIN information_schema.${prefix}_TABLES AS tables USING (TABLE_ID)
     WHERE tables.NAME = CONCAT(DATABASE(), '/jobs')`,
  );
  expect(thresholds).toEqual([{ percent: 30 }]);
  await env.close();
});
