import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { aboutSetting, DEFAULT_PASSWORD, type Environment, environment, type InProduction } from './settings.ts';

/** The only reader of the environment: `main` passes process.env in, everything else takes the values it needs. */

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
export type MetricsConfig = Config['metrics'];
export type WorkerConfig = Config['worker'];
export type LegacyDatabaseConfig = NonNullable<Config['legacyDatabase']>;
/** Which OS user commands run as. */
export type JobUserConfig = WorkerConfig['jobUser'];

/**
 * Settings by name from the given environment; an empty value counts as not set. `command` is who is to use them: what only
 * another one needs may be missing. Without it nothing may.
 * @throws {ConfigError} with every problem at once
 */
export function loadConfig(env: Record<string, string | undefined>, command?: string): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(given);
  const problems = [...unsafeForProduction(given, command), ...contradictions(given)];
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

function unsafeForProduction(given: Record<string, string | undefined>, command: string | undefined): string[] {
  if (given['NODE_ENV'] !== 'production') return [];
  return Object.entries(environment.shape).flatMap(([name, schema]) => {
    const { neededBy, ...rest } = aboutSetting(schema).inProduction ?? {};
    const isNeeded = command === undefined || command === neededBy?.command;
    const problem = unsafeValue(given[name] ?? '', { ...rest, bytesMin: isNeeded ? (neededBy?.bytesMin ?? 0) : 0 });
    return problem === null ? [] : [`${name}: ${problem}`];
  });
}

type Demand = Omit<InProduction, 'neededBy'> & { bytesMin: number };

function unsafeValue(value: string, { bytesMin, refuses, exampleFrom }: Demand): string | null {
  const bytes = Buffer.byteLength(value);
  if (bytes < bytesMin) {
    const state = bytes === 0 ? 'is not set' : `has only ${bytes} bytes`;
    const example = exampleFrom ? `, for example from: ${exampleFrom}` : '';
    return `${state}; production needs ${bytesMin} or more${example}`;
  }
  return value === refuses ? 'is the well-known default; choose another one' : null;
}

/** Null: in clear. Without certificates of its own, authorities that Node knows count. */
const tlsOf = (isOn: boolean, ca: string | undefined) => (isOn ? { ca: ca ?? null } : null);

function readDatabaseUrl(text: string) {
  const url = new URL(text);
  return {
    name: decodeURIComponent(url.pathname.slice(1)),
    host: url.hostname,
    port: Number(url.port || 3306),
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

function shape(env: Environment) {
  const isProduction = env.NODE_ENV === 'production';
  const database = env.BJR_DATABASE ?? `bjr_${env.NODE_ENV}`;
  const initialPassword = (given: string | undefined) => given ?? (isProduction ? null : DEFAULT_PASSWORD);
  return {
    isProduction,
    hostname: hostname(),
    log: { level: env.LOG_LEVEL, format: env.LOG_FORMAT },
    /** Metrics and probes have a listener of their own; port 0: none. */
    metrics: { host: env.METRICS_BIND_ADDRESS, port: env.METRICS_PORT },
    api: {
      host: env.BIND_ADDRESS ?? (isProduction ? '0.0.0.0' : '127.0.0.1'),
      port: env.PORT,
      processes: env.WEB_CONCURRENCY,
      requestTimeoutMs: env.REQUEST_TIMEOUT_SECONDS * 1000,
      corsOrigins: env.CORS_ORIGINS,
      tokenLifeSeconds: env.JWT_EXPIRY_SECONDS,
      signInsMax: env.LOGIN_ATTEMPTS_MAX,
      trustedProxies: env.TRUSTED_PROXIES,
      // Outside production a fixed secret keeps tokens valid across restarts; there the API refuses to start without its own,
      // and what other processes do not know is empty, which signs nothing.
      secret: env.SECRET_KEY_BASE || (isProduction ? '' : 'a secret for development that signs nothing of worth'),
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
    /** Null: it is not named. */
    legacyDatabase: env.LEGACY_DATABASE_URL ? readDatabaseUrl(env.LEGACY_DATABASE_URL) : null,
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
      jobCgroups: env.JOB_CGROUPS,
      jobLimits: {
        nice: env.JOB_NICE,
        memoryBytesMax: env.JOB_MEMORY_LIMIT_BYTES,
        processesMax: env.JOB_PROCESSES_MAX,
        fileBytesMax: env.JOB_FILE_SIZE_LIMIT_BYTES,
      },
    },
  };
}
