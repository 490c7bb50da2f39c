import mysql from 'mysql2/promise';
import { loadConfig } from '../src/platform/config.ts';
import type { TestEnvironment } from '../test/support/environment.ts';

/** Claims and records until nothing is due any more. */
export interface Claimer {
  run(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The floor: the same rows locked, inserted and changed in two transactions a batch, every row alike, so that nothing is
 * decided, matched or built.
 */
export function createBareClaimer(
  env: TestEnvironment,
  { slots, workerId }: { slots: number; workerId: string },
): Claimer {
  const { host, port, username: user, password, name: database } = loadConfig(env.env).database;
  const opened = mysql.createConnection({ host, port, user, password, database, timezone: 'Z' });
  const batch = async (connection: mysql.Connection) => {
    await connection.query('BEGIN');
    const [due] = await connection.query<mysql.RowDataPacket[]>(LOCK_DUE, [slots]);
    const ids = due.map((row) => row['id']);
    if (ids.length === 0) {
      await connection.query('COMMIT');
      return false;
    }
    const rows = due.map(({ id, user_id, next_run, lease_token }) => [
      id,
      user_id,
      next_run,
      lease_token + 1,
      workerId,
    ]);
    const [{ insertId }] = await connection.query<mysql.ResultSetHeader>(INSERT_RUNS, [
      rows.map((row) => [...row, 'schedule', 1, row[2]]),
    ]);
    await connection.query(LEASE, [workerId, insertId, ids]);
    await connection.query('COMMIT');
    const runIds = ids.map((_, at) => insertId + at);
    await connection.query('BEGIN');
    await connection.query('SELECT * FROM jobs WHERE id IN (?) FOR UPDATE', [ids]);
    await connection.query(FINISH, [runIds]);
    await connection.query(OUTPUTS, [runIds.map((id) => [id, 'hi\n', '', 3, 0, false, false])]);
    await connection.query(GIVE_UP, [ids]);
    await connection.query('COMMIT');
    return true;
  };
  return {
    async run() {
      const connection = await opened;
      await connection.query("SET time_zone = '+00:00'");
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      while (await batch(connection));
    },
    close: async () => (await opened).end(),
  };
}

const LOCK_DUE = `SELECT * FROM jobs FORCE INDEX (jobs_claim) WHERE state = 'due' AND due_at <= UTC_TIMESTAMP(6)
  ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED`;
const INSERT_RUNS = `INSERT INTO job_runs
  (job_id, user_id, scheduled_for, lease_token, worker_id, trigger_kind, attempt, started_at) VALUES ?`;
const LEASE = `UPDATE jobs SET state = 'leased', due_at = NULL, lease_owner = ?, lease_token = lease_token + 1,
  lease_expires_at = UTC_TIMESTAMP(6) + INTERVAL 30 SECOND, next_run = '2099-01-01', run_id = ? WHERE id IN (?)`;
const FINISH = `UPDATE job_runs SET outcome = 'succeeded', return_code = 0, error_message = '',
  started_at = UTC_TIMESTAMP(6), finished_at = UTC_TIMESTAMP(6), updated_at = UTC_TIMESTAMP(6) WHERE id IN (?)`;
const OUTPUTS = `INSERT INTO run_outputs
  (run_id, stdout, stderr, stdout_bytes, stderr_bytes, stdout_truncated, stderr_truncated) VALUES ?`;
const GIVE_UP = `UPDATE jobs SET state = 'idle', lease_owner = NULL, lease_expires_at = NULL, run_id = NULL,
  last_run = UTC_TIMESTAMP(6), success = TRUE, duration_count = duration_count + 1, duration_sum_ms = duration_sum_ms + 5,
  duration_max_ms = 5, lag_count = lag_count + 1, lag_sum_ms = lag_sum_ms + 5 WHERE id IN (?)`;
