import { hashSync } from 'bcryptjs';
import mysql from 'mysql2/promise';

/*
 * A database as the first BJR's Rails application made it, filled with jobs and their runs. With flaws it has one of each thing that
 * cannot be taken over as it is.
 */

const SCHEMA = [
  `CREATE TABLE users (id BIGINT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(255), password_digest VARCHAR(255),
     created_at DATETIME(6) NOT NULL, updated_at DATETIME(6) NOT NULL)`,
  `CREATE TABLE jobs (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255), cron VARCHAR(255), enabled TINYINT(1) DEFAULT 1,
     command TEXT, last_run DATETIME(6), next_run DATETIME(6), success TINYINT(1), running TINYINT(1) DEFAULT 0,
     timezone VARCHAR(255), success_callback VARCHAR(255), failure_callback VARCHAR(255), user_id BIGINT,
     avg_run_duration FLOAT, max_run_duration FLOAT, min_run_duration FLOAT,
     created_at DATETIME(6) NOT NULL, updated_at DATETIME(6) NOT NULL, KEY (user_id))`,
  `CREATE TABLE job_runs (id BIGINT AUTO_INCREMENT PRIMARY KEY, success TINYINT(1), return_code INT, error_message TEXT,
     stdout MEDIUMTEXT, stderr MEDIUMTEXT, start_time DATETIME(6), end_time DATETIME(6), scheduled_start_time DATETIME(6),
     schedule_diff_in_seconds INT, job_id BIGINT, is_manual TINYINT(1) DEFAULT 0,
     created_at DATETIME(6) NOT NULL, updated_at DATETIME(6) NOT NULL, KEY (job_id))`,
  `CREATE TABLE folders (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255), expression VARCHAR(255), user_id BIGINT,
     created_at DATETIME(6) NOT NULL, updated_at DATETIME(6) NOT NULL)`,
  'CREATE TABLE tags (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255), taggings_count INT DEFAULT 0)',
  `CREATE TABLE taggings (id BIGINT AUTO_INCREMENT PRIMARY KEY, tag_id BIGINT, taggable_type VARCHAR(255), taggable_id BIGINT,
     tagger_type VARCHAR(255), tagger_id BIGINT, context VARCHAR(128), created_at DATETIME(6), KEY (taggable_id))`,
  `CREATE TABLE job_stats (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id BIGINT, period VARCHAR(16), start_dt DATETIME(6),
     end_dt DATETIME(6), runs INT, failed INT, job_count INT, avg_runtime FLOAT, max_runtime FLOAT, min_runtime FLOAT,
     total_jobs INT, total_enabled INT, avg_job_lag FLOAT, max_job_lag INT, min_job_lag INT,
     created_at DATETIME(6) NOT NULL, updated_at DATETIME(6) NOT NULL)`,
];

export const LEGACY_PASSWORD = 'an old password';
const CRONS = ['*/5 * * * *', '0 3 * * *', '15 12 * * MON', '0 0 1 * *'];
const ZONES = ['UTC', 'Eastern Time (US & Canada)', 'Europe/Berlin', ''];
const DAY_MS = 86_400_000;
const SPAN_MS = 10 * DAY_MS;
const BATCH = 2000;

export interface LegacySize {
  jobs: number;
  runs: number;
  hasFlaws: boolean;
}

/** Makes the database that the URL names. Users root (1), admin (2) and alice (3) have LEGACY_PASSWORD. */
export async function makeLegacyDatabase(url: string, { jobs, runs, hasFlaws }: LegacySize): Promise<void> {
  const { pathname, hostname, port, username, password } = new URL(url);
  const name = decodeURIComponent(pathname.slice(1));
  const connection = await mysql.createConnection({
    ...{
      host: hostname,
      port: Number(port),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
    },
    timezone: 'Z',
  });
  const fill = async (table: string, columns: string[], rows: unknown[][]) => {
    for (let from = 0; from < rows.length; from += BATCH)
      await connection.query('INSERT INTO ?? (??) VALUES ?', [table, columns, rows.slice(from, from + BATCH)]);
  };
  await connection.query('CREATE DATABASE ?? CHARACTER SET utf8mb4', [name]);
  await connection.query('USE ??', [name]);
  for (const statement of SCHEMA) await connection.query(statement);
  const now = Date.now();
  const old = new Date(now - 2 * SPAN_MS);
  // Rails' bcrypt writes 2a.
  const digest = hashSync(LEGACY_PASSWORD, 4).replace(/^\$2b/, '$2a');
  const stamps = [old, old];
  const stamped = ['created_at', 'updated_at'];
  await fill(
    'users',
    ['id', 'username', 'password_digest', ...stamped],
    [
      [1, 'root', digest, ...stamps],
      [2, 'admin', digest, ...stamps],
      [3, 'alice', digest, ...stamps],
    ],
  );
  await fill('tags', ['id', 'name'], [[1, 'nightly'], [2, 'Örtlich'], ...(hasFlaws ? [[3, 'of no job']] : [])]);
  const jobColumns = ['id', 'user_id', 'name', 'cron', 'enabled', 'command', 'timezone', 'next_run', ...stamped];
  const later = new Date(now + 3_600_000);
  await fill(
    'jobs',
    jobColumns,
    sequence(jobs, (n) => [
      n,
      2 + (n % 2),
      `Job ${n}`,
      CRONS[n % 4],
      n % 5 > 0,
      `echo ${n}`,
      ZONES[n % 4 === 3 ? 3 : n % 3],
      later,
      ...stamps,
    ]),
  );
  await fill(
    'taggings',
    ['tag_id', 'taggable_type', 'taggable_id', 'context', 'created_at'],
    sequence(Math.floor(jobs / 2), (n) => [1 + (n % 2), 'Job', n * 2, 'tags', old]),
  );
  await fill(
    'folders',
    ['id', 'name', 'expression', 'user_id', ...stamped],
    [
      [1, 'Nightly', 'tags:nightly', 2, ...stamps],
      [2, 'Broken', 'failing enabled', 3, ...stamps],
    ],
  );
  const runColumns = [
    ...['id', 'job_id', 'success', 'return_code', 'error_message', 'stdout', 'stderr', 'start_time', 'end_time'],
    ...['scheduled_start_time', 'is_manual', ...stamped],
  ];
  const stepMs = Math.floor(SPAN_MS / (runs + 1));
  await fill(
    'job_runs',
    runColumns,
    sequence(runs, (n) => {
      const scheduled = now - SPAN_MS + n * stepMs;
      const [start, end] = [new Date(scheduled + 100 + (n % 7) * 10), new Date(scheduled + 600 + (n % 11) * 100)];
      const [isManual, hasFailed] = [n % 20 === 0, n % 10 === 3];
      const what = hasFailed ? [false, 1, '', '', `failed ${n}`] : [true, 0, '', `out of ${n} ✓\n`, ''];
      return [
        n,
        ((n - 1) % jobs) + 1,
        ...what,
        start,
        end,
        isManual ? null : new Date(scheduled),
        isManual,
        start,
        end,
      ];
    }),
  );
  const day = new Date(Math.floor((now - 50 * DAY_MS) / DAY_MS) * DAY_MS);
  await fill(
    'job_stats',
    ['user_id', 'period', 'start_dt', 'runs', 'failed', 'job_count', 'avg_runtime', 'max_runtime', ...stamped],
    [[2, 'day', day, 40, 4, 7, 1.5, 3, day, day]],
  );
  if (hasFlaws) {
    const job = (id: number, userId: number, fields: unknown[]) => [id, userId, ...fields, later, ...stamps];
    const f = jobs;
    await fill('jobs', jobColumns, [
      job(f + 1, 2, ['Bad cron', '61 * * * *', true, 'echo', 'UTC']),
      job(f + 2, 2, ['Bad zone', '* * * * *', true, 'echo', 'Mars/Base']),
      job(f + 3, 2, ['JOB 2 ', '0 3 * * *', true, 'echo', 'UTC']),
      job(f + 4, 99, ['Of nobody', '0 3 * * *', true, 'echo', 'UTC']),
      job(f + 5, 1, ['Of root', '0 3 * * *', true, 'echo', 'UTC']),
      job(f + 6, 3, ['No command', '0 3 * * *', true, ' ', 'UTC']),
    ]);
    await connection.query("UPDATE jobs SET success_callback = 'not an address' WHERE id = 1");
    await connection.query('UPDATE jobs SET next_run = ?, enabled = 1, cron = ?, timezone = ? WHERE id = 3', [
      new Date(Math.floor(now / 3_600_000) * 3_600_000 - 3_600_000),
      '*/30 * * * *',
      'UTC',
    ]);
    await fill(
      'folders',
      ['id', 'name', 'expression', 'user_id', ...stamped],
      [
        [3, 'Half', 'enabled colour:red', 2, ...stamps],
        [4, 'Nothing', 'colour:red', 2, ...stamps],
        [5, 'nightly', 'enabled', 2, ...stamps],
      ],
    );
    const at = new Date(now - 3_600_000);
    const twice = new Date(now - SPAN_MS + stepMs);
    await fill('job_runs', runColumns, [
      [runs + 1, 1, null, null, null, null, null, at, null, at, false, at, at],
      [runs + 2, 1, true, 0, '', 'again', '', twice, twice, twice, false, twice, twice],
      [runs + 3, 1, true, 0, '', 'long '.repeat(300_000), '', at, at, null, true, at, at],
      [runs + 4, f + 1, true, 0, '', '', '', at, at, at, false, at, at],
      [runs + 5, 12_345, true, 0, '', '', '', at, at, at, false, at, at],
    ]);
    await fill(
      'job_stats',
      ['user_id', 'period', 'start_dt', 'runs', ...stamped],
      [[2, 'day', new Date(day.getTime() + 3_600_000), 1, day, day]],
    );
  }
  await connection.end();
}

const sequence = (count: number, row: (n: number) => unknown[]) =>
  Array.from({ length: count }, (_, index) => row(index + 1));
