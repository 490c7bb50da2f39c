import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Redis } from 'ioredis';
import mysql from 'mysql2/promise';

/*
 * The baseline of bench/api.ts and, with bareWorker.mjs, of run_now in bench/lag.ts: a bare Hono app with the statements that the API's routes make and nothing else: no token, no
 * time zones, no languages, no envelope. Its settings are the API's.
 */
const env = process.env;
const pool = mysql.createPool({
  host: String(env['BJR_DATABASE_HOST']),
  port: Number(env['BJR_DATABASE_PORT']),
  user: String(env['BJR_DATABASE_USERNAME']),
  password: String(env['BJR_DATABASE_PASSWORD']),
  database: String(env['BJR_DATABASE']),
  timezone: 'Z',
  connectionLimit: 10,
});
const redis = new Redis({ host: String(env['REDIS_HOST']), port: Number(env['REDIS_PORT']) });
const ADMIN = 2;
const TAGS = `(SELECT COALESCE(JSON_ARRAYAGG(tags.name), JSON_ARRAY()) FROM job_tags JOIN tags ON tags.id = job_tags.tag_id
  WHERE job_tags.job_id = jobs.id) AS tags`;
const query = async (sql: string, values: unknown[]) => (await pool.query<mysql.RowDataPacket[]>(sql, values))[0];
const readUser = () => query('SELECT * FROM users WHERE id = ?', [ADMIN]);
const readJob = (id: string) => query(`SELECT jobs.*, ${TAGS} FROM jobs WHERE id = ? AND user_id = ?`, [id, ADMIN]);

const app = new Hono();
app.get('/job_api', async (c) => {
  await readUser();
  const rows = await query(
    `SELECT jobs.*, ${TAGS} FROM (SELECT id FROM jobs FORCE INDEX (jobs_list) WHERE user_id = ? ORDER BY next_run, id LIMIT 25)
     AS page JOIN jobs ON jobs.id = page.id ORDER BY next_run, jobs.id`,
    [ADMIN],
  );
  return c.json(rows);
});
app.get('/job_api/:id', async (c) => {
  await readUser();
  return c.json(await readJob(c.req.param('id')));
});
app.get('/job_api/:id/runs', async (c) => {
  const id = c.req.param('id');
  await readUser();
  await readJob(id);
  const page = await query('SELECT id FROM job_runs WHERE job_id = ? ORDER BY id DESC LIMIT 25', [id]);
  await query('SELECT COUNT(*) FROM job_runs WHERE job_id = ?', [id]);
  const rows = await query(
    'SELECT * FROM job_runs LEFT JOIN run_outputs ON run_id = job_runs.id WHERE job_runs.id IN (?) ORDER BY job_runs.id DESC',
    [page.map((row) => row['id'])],
  );
  return c.json(rows);
});
app.post('/job_api', async (c) => {
  const { name, cron, command } = await c.req.json();
  await readUser();
  const connection = await pool.getConnection();
  await connection.beginTransaction();
  await connection.query('UPDATE users SET job_count = job_count + 1, jobs_revision = jobs_revision + 1 WHERE id = ?', [
    ADMIN,
  ]);
  const [{ insertId }] = await connection.query<mysql.ResultSetHeader>(
    `INSERT INTO jobs (user_id, name, name_key, cron, command, timezone, next_run)
     VALUES (?, ?, ?, ?, ?, 'UTC', UTC_TIMESTAMP(6) + INTERVAL 1 DAY)`,
    [ADMIN, name, name, cron, command],
  );
  await connection.query(`SELECT jobs.*, ${TAGS} FROM jobs WHERE id = ? AND user_id = ?`, [insertId, ADMIN]);
  await connection.query(
    `INSERT INTO audit_entries (user_id, username, address, operation, kind, object_id, after_fields)
     VALUES (?, 'admin', '127.0.0.1', 'create', 'job', ?, ?)`,
    [ADMIN, insertId, JSON.stringify({ name, cron, command })],
  );
  await connection.commit();
  connection.release();
  return c.json(await readJob(String(insertId)), 201);
});
app.post('/job_api/:id/run_now', async (c) => {
  const id = c.req.param('id');
  await readUser();
  const connection = await pool.getConnection();
  await connection.beginTransaction();
  await connection.query(
    "UPDATE jobs SET state = 'due', due_at = UTC_TIMESTAMP(6), trigger_kind = 'manual' WHERE id = ? AND user_id = ? AND state = 'idle'",
    [id, ADMIN],
  );
  await connection.query(
    `INSERT INTO audit_entries (user_id, username, address, operation, kind, object_id) VALUES (?, 'admin', '127.0.0.1', 'run_now', 'job', ?)`,
    [ADMIN, id],
  );
  await connection.commit();
  connection.release();
  await redis.publish('bare-wake', 'jobs');
  return c.json({});
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(env['PORT']) }, () =>
  console.log('{"msg":"The API is ready"}'),
);
