/*
 * The baseline of run_now (bench/lag.ts), beside bareApi.ts: a process that hears of a due job, makes the statements of a claim and
 * of a record, and nothing else: no lease, no schedule, no batch, no cgroup, no limit. Its child, as lean as a runner, starts the
 * command. JavaScript, for the child's memory (bareLoop.mjs). Its settings are the worker's.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import mysql from 'mysql2/promise';

const { env } = process;
const isRunner = process.argv[2] === 'runner';
if (isRunner) process.on('message', run);
else await work();

function run(command) {
  const child = spawn('/bin/bash', ['-c', command], { stdio: ['ignore', 'pipe', 'ignore'], env: {}, detached: true });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.once('close', () => process.send(output));
}

async function work() {
  const runner = fork(import.meta.filename, ['runner'], { env: {}, execArgv: ['--max-semi-space-size=1'] });
  const pool = mysql.createPool({
    host: env.BJR_DATABASE_HOST,
    port: Number(env.BJR_DATABASE_PORT),
    user: env.BJR_DATABASE_USERNAME,
    password: env.BJR_DATABASE_PASSWORD,
    database: env.BJR_DATABASE,
  });
  const transact = async (statements) => {
    const connection = await pool.getConnection();
    await connection.query('BEGIN');
    const result = await statements((text, values) => connection.query(text, values).then(([rows]) => rows));
    await connection.query('COMMIT');
    connection.release();
    return result;
  };
  const claim = () =>
    transact(async (query) => {
      const [job] = await query(
        `SELECT * FROM jobs FORCE INDEX (jobs_claim) WHERE state = 'due' AND due_at <= UTC_TIMESTAMP(6)
         ORDER BY due_at, id LIMIT 20 FOR UPDATE SKIP LOCKED`,
      );
      const { insertId } = await query(
        `INSERT INTO job_runs (job_id, user_id, trigger_kind, attempt, lease_token, worker_id, started_at, created_at, updated_at)
         VALUES (?, ?, 'manual', 1, ?, UUID(), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))`,
        [job.id, job.user_id, job.lease_token + 1],
      );
      await query(
        "UPDATE jobs SET state = 'leased', due_at = NULL, lease_token = lease_token + 1, run_id = ? WHERE id = ?",
        [insertId, job.id],
      );
      return { job, runId: insertId };
    });
  const record = ({ job, runId }, output) =>
    transact(async (query) => {
      await query('SELECT * FROM jobs WHERE id = ? FOR UPDATE', [job.id]);
      await query(
        "UPDATE job_runs SET outcome = 'succeeded', return_code = 0, error_message = '', finished_at = UTC_TIMESTAMP(6) WHERE id = ?",
        [runId],
      );
      await query(
        'INSERT INTO run_outputs (run_id, stdout, stderr, stdout_bytes, stderr_bytes) VALUES (?, ?, ?, ?, 0)',
        [runId, output, '', output.length],
      );
      await query("UPDATE jobs SET state = 'idle', run_id = NULL WHERE id = ?", [job.id]);
    });
  const redis = new Redis({ host: env.REDIS_HOST, port: Number(env.REDIS_PORT) });
  await redis.subscribe('bare-wake');
  const runDue = async () => {
    const claimed = await claim();
    runner.send(claimed.job.command);
    const [output] = await once(runner, 'message');
    await record(claimed, output);
  };
  redis.on('message', () => void runDue());
  console.log('{"msg":"The worker is ready"}');
}
