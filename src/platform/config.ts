import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { availableParallelism, homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

/** The only reader of the environment: `main` passes process.env in, everything else takes the values it needs. */

const DEFAULT_PASSWORD = 'password1234';
const SECRET_LENGTH_MIN = 32;

const integer = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(min).max(max));
const port = integer(1, 65_535);
/** 0 counts as not set: no limit. */
const limit = (min: number, max: number) =>
  integer(0, max)
    .refine((value) => value === 0 || value >= min, `must be 0 (no limit) or at least ${min}`)
    .default(0);

const flag = z
  .enum(['on', 'off', 'true', 'false'])
  .default('off')
  .transform((value) => value === 'on' || value === 'true');
/** A file of certificates (PEM), read at once: a wrong path stops the start. */
const certificates = z
  .string()
  .transform((path, context) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      context.addIssue(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
      return z.NEVER;
    }
  })
  .refine((text) => text.includes('-----BEGIN CERTIFICATE-----'), 'holds no certificate (PEM)')
  .optional();

const environment = z.object({
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  BIND_ADDRESS: z.string().optional(),
  PORT: port.default(4000),
  WEB_CONCURRENCY: integer(1, 64).default(1),
  REQUEST_TIMEOUT_SECONDS: integer(1, 3600).default(30),
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((list) => list.split(',').flatMap((origin) => origin.trim() || []))
    .refine((origins) => origins.every(isOrigin), 'must be origins with commas between: https://app.example.com'),
  SECRET_KEY_BASE: z.string().default(''),
  JWT_EXPIRY_SECONDS: integer(1, 31_536_000).default(3600),
  LOGIN_ATTEMPTS_MAX: integer(1, 1_000_000).default(10),
  TRUSTED_PROXIES: integer(0, 10).default(0),
  INITIAL_ROOT_PASSWORD: z.string().optional(),
  INITIAL_ADMIN_PASSWORD: z.string().optional(),
  BJR_DATABASE: z
    .string()
    .regex(/^[A-Za-z0-9_$-]{1,64}$/, 'may hold letters, digits, _, $ and - (64 at most)')
    .optional(),
  BJR_DATABASE_HOST: z.string().default('127.0.0.1'),
  BJR_DATABASE_PORT: port.default(3306),
  BJR_DATABASE_USERNAME: z.string().default('root'),
  BJR_DATABASE_PASSWORD: z.string().default(''),
  BJR_DATABASE_POOL: integer(2, 1000).default(10),
  BJR_DATABASE_TLS: flag,
  BJR_DATABASE_TLS_CA: certificates,
  REDIS_HOST: z.string().default('127.0.0.1'),
  REDIS_PORT: port.default(6379),
  REDIS_USERNAME: z.string().optional(),
  REDIS_PASSWORD: z.string().optional(),
  REDIS_TLS: flag,
  REDIS_TLS_CA: certificates,
  REDIS_DB: integer(0, 1_000_000).optional(),
  REDIS_SIDEKIQ_DB: integer(0, 1_000_000).optional(),
  WORKER_CONCURRENCY: integer(1, 1000).default(10),
  RUNNERS: integer(1, 256).default(availableParallelism()),
  LEASE_SECONDS: integer(3, 3600).default(30),
  TICK_SECONDS: integer(1, 60).default(60),
  LEADER_ELECTION: z.enum(['on', 'off']).default('on'),
  CALLBACK_PRIVATE_TARGETS: z.enum(['on', 'off']).default('off'),
  DELIVERY_KEEP_DAYS: integer(0, 36_500).default(30),
  AUDIT_KEEP_DAYS: integer(0, 36_500).default(365),
  MISFIRE_GRACE_SECONDS: integer(0, 86_400).default(15),
  DRAIN_TIMEOUT_SECONDS: integer(0, 86_400).default(60),
  KILL_GRACE_SECONDS: integer(0, 600).default(5),
  OUTPUT_LIMIT_BYTES: integer(1024, 16_777_216).default(1_048_576),
  STATE_DIRECTORY: z.string().default(join(homedir(), '.local/state/bjr')),
  JOB_DIRECTORY: z.string().optional(),
  JOB_USER: z.string().optional(),
  JOB_UID_BASE: integer(1000, 2_000_000_000).optional(),
  JOB_UMASK: z
    .string()
    .regex(/^[0-7]{1,4}$/, 'must be octal, such as 0027')
    .default('0027')
    .transform((digits) => Number.parseInt(digits, 8))
    .pipe(z.number().max(0o777)),
  JOB_NICE: integer(0, 19).default(0),
  JOB_MEMORY_LIMIT_BYTES: limit(16_777_216, Number.MAX_SAFE_INTEGER),
  JOB_PROCESSES_MAX: limit(1, 4_194_304),
  JOB_FILE_SIZE_LIMIT_BYTES: limit(1024, Number.MAX_SAFE_INTEGER),
  JOB_PATH: z.string().default('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  LOG_FORMAT: z.enum(['json', 'pretty']).default('json'),
});

/** Exactly as browsers send it: lower case, no path, the port only where it is not the scheme's own. */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

type Environment = z.infer<typeof environment>;

/** Everything that is wrong with the settings, a line each: a wrong deployment is mended in one go. */
export class ConfigError extends Error {
  readonly problems: string[];
  constructor(problems: string[]) {
    super(`The settings are not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export type Config = ReturnType<typeof shape>;
export type DatabaseConfig = Config['database'];
export type RedisConfig = Config['redis'];
export type WorkerConfig = Config['worker'];
/** Which OS user commands run as. */
export type JobUserConfig = WorkerConfig['jobUser'];

/**
 * Settings by name from the given environment; an empty value counts as not set.
 * @throws {ConfigError} with every problem at once
 */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(given);
  const problems = [...unsafeForProduction(given), ...contradictions(given)];
  if (!parsed.success) throw new ConfigError([...parsed.error.issues.map(describe), ...problems]);
  if (problems.length > 0) throw new ConfigError(problems);
  return shape(parsed.data);
}

function describe(issue: z.core.$ZodIssue): string {
  return `${issue.path.join('.')}: ${issue.message}`;
}

function contradictions(given: Record<string, string | undefined>): string[] {
  const problems: string[] = [];
  const isOn = (name: string) => ['on', 'true'].includes(given[name] ?? '');
  if (given['JOB_USER'] && given['JOB_UID_BASE'])
    problems.push("JOB_USER, JOB_UID_BASE: one user for all commands, or one for each of BJR's users: set one only");
  for (const name of ['BJR_DATABASE_TLS', 'REDIS_TLS'])
    if (given[`${name}_CA`] && !isOn(name)) problems.push(`${name}_CA: is of no use without ${name}=on`);
  // mysql2 does not compare a certificate with an address.
  if (isOn('BJR_DATABASE_TLS') && isIP(given['BJR_DATABASE_HOST'] ?? '127.0.0.1') !== 0)
    problems.push('BJR_DATABASE_TLS: needs a BJR_DATABASE_HOST that is a name, as the certificate has it');
  if (given['REDIS_USERNAME'] && !given['REDIS_PASSWORD']) problems.push('REDIS_USERNAME: needs a REDIS_PASSWORD');
  return problems;
}

function unsafeForProduction(given: Record<string, string | undefined>): string[] {
  if (given['NODE_ENV'] !== 'production') return [];
  const problems: string[] = [];
  const secretLength = Buffer.byteLength(given['SECRET_KEY_BASE'] ?? '');
  if (secretLength < SECRET_LENGTH_MIN) {
    const state = secretLength === 0 ? 'is not set' : `has only ${secretLength} bytes`;
    problems.push(
      `SECRET_KEY_BASE: ${state}; production needs ${SECRET_LENGTH_MIN} or more, for example from: openssl rand -hex 64`,
    );
  }
  for (const name of ['INITIAL_ROOT_PASSWORD', 'INITIAL_ADMIN_PASSWORD', 'BJR_DATABASE_PASSWORD']) {
    if (given[name] === DEFAULT_PASSWORD) problems.push(`${name}: is the well-known default; choose another one`);
  }
  return problems;
}

/** Null: in clear. Without certificates of its own, authorities that Node knows count. */
const tlsOf = (isOn: boolean, ca: string | undefined) => (isOn ? { ca: ca ?? null } : null);

function shape(env: Environment) {
  const isProduction = env.NODE_ENV === 'production';
  const database = env.BJR_DATABASE ?? `bjr_${env.NODE_ENV}`;
  const initialPassword = (given: string | undefined) => given ?? (isProduction ? null : DEFAULT_PASSWORD);
  return {
    isProduction,
    hostname: hostname(),
    log: { level: env.LOG_LEVEL, format: env.LOG_FORMAT },
    api: {
      host: env.BIND_ADDRESS ?? (isProduction ? '0.0.0.0' : '127.0.0.1'),
      port: env.PORT,
      processes: env.WEB_CONCURRENCY,
      requestTimeoutMs: env.REQUEST_TIMEOUT_SECONDS * 1000,
      corsOrigins: env.CORS_ORIGINS,
      tokenLifeSeconds: env.JWT_EXPIRY_SECONDS,
      signInsMax: env.LOGIN_ATTEMPTS_MAX,
      trustedProxies: env.TRUSTED_PROXIES,
      // Outside production a fixed secret keeps tokens valid across restarts; production refuses to start without its own.
      secret: env.SECRET_KEY_BASE || 'a secret for development that signs nothing of worth',
    },
    /** Passwords of the first start; null where the settings must name one and do not. */
    seed: {
      rootPassword: initialPassword(env.INITIAL_ROOT_PASSWORD),
      adminPassword: initialPassword(env.INITIAL_ADMIN_PASSWORD),
    },
    database: {
      name: database,
      host: env.BJR_DATABASE_HOST,
      port: env.BJR_DATABASE_PORT,
      username: env.BJR_DATABASE_USERNAME,
      password: env.BJR_DATABASE_PASSWORD,
      connectionsMax: env.BJR_DATABASE_POOL,
      tls: tlsOf(env.BJR_DATABASE_TLS, env.BJR_DATABASE_TLS_CA),
    },
    redis: {
      host: env.REDIS_HOST,
      port: env.REDIS_PORT,
      db: env.REDIS_DB ?? env.REDIS_SIDEKIQ_DB ?? 0,
      username: env.REDIS_USERNAME ?? null,
      password: env.REDIS_PASSWORD ?? null,
      tls: tlsOf(env.REDIS_TLS, env.REDIS_TLS_CA),
      /** Several installations may share one Redis. */
      prefix: `bjr:${database}:`,
    },
    scheduler: {
      tickMs: env.TICK_SECONDS * 1000,
      hasElection: env.LEADER_ELECTION === 'on',
      auditKeepDays: env.AUDIT_KEEP_DAYS,
      deliveryKeepDays: env.DELIVERY_KEEP_DAYS,
    },
    /** Whether callbacks may go to addresses that are not on the public internet. */
    callbacks: { hasPrivateTargets: env.CALLBACK_PRIVATE_TARGETS === 'on' },
    worker: {
      slots: env.WORKER_CONCURRENCY,
      runners: env.RUNNERS,
      leaseMs: env.LEASE_SECONDS * 1000,
      misfireGraceMs: env.MISFIRE_GRACE_SECONDS * 1000,
      drainTimeoutMs: env.DRAIN_TIMEOUT_SECONDS * 1000,
      killGraceMs: env.KILL_GRACE_SECONDS * 1000,
      outputBytesMax: env.OUTPUT_LIMIT_BYTES,
      spoolDirectory: join(env.STATE_DIRECTORY, 'spool'),
      /** Null: the home of the user that a command runs as. */
      jobDirectory: env.JOB_DIRECTORY ?? null,
      jobPath: env.JOB_PATH,
      jobUser: { name: env.JOB_USER ?? null, uidBase: env.JOB_UID_BASE ?? null },
      jobUmask: env.JOB_UMASK,
      jobLimits: {
        nice: env.JOB_NICE,
        memoryBytesMax: env.JOB_MEMORY_LIMIT_BYTES,
        processesMax: env.JOB_PROCESSES_MAX,
        fileBytesMax: env.JOB_FILE_SIZE_LIMIT_BYTES,
      },
    },
  };
}
