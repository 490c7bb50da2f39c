import { readFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * Every setting, declared once: how it is read, its default, and what docs/configuration.md says of it (`bjr settings --write`
 * puts it there).
 */

/** What there is to say of a setting beyond its schema. */
export interface About {
  does: string;
  /** Where the schema does not say in a word what values there are. */
  values?: string;
  /** Where the default is computed, or needs more than its value. */
  fallback?: string;
  /** Never to be logged or shown. */
  isSecret?: boolean;
  inProduction?: InProduction;
}

export interface InProduction {
  /** Must be set for this command, to so many bytes or more; to others it may stay unknown. */
  neededBy?: { command: 'api'; bytesMin: number };
  /** A value that everybody knows. */
  refuses?: string;
  /** For example from this command. */
  exampleFrom?: string;
}

const abouts = z.registry<About>();

const setting = <S extends z.ZodType>(schema: S, does: string, about: Omit<About, 'does'> = {}): S => {
  if (abouts.has(schema)) throw new Error(`Two settings share a schema, and '${does}' would be said of both`);
  abouts.add(schema, { does, ...about });
  return schema;
};

/** @throws for a schema that is no setting */
export function aboutSetting(schema: z.ZodType): About {
  const about = abouts.get(schema);
  if (!about) throw new Error('A setting without a word about it: declare it with setting()');
  return about;
}

export const DEFAULT_PASSWORD = 'password1234';
const SECRET_BYTES_MIN = 32;
const password = { isSecret: true, inProduction: { refuses: DEFAULT_PASSWORD } };

const integer = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(min).max(max));
const port = integer(1, 65_535);
const onOff = z.enum(['on', 'off']);
/** 0 counts as not set: no limit. */
const limit = (min: number, max: number) =>
  integer(0, max)
    .refine((value) => value === 0 || value >= min, `must be 0 (no limit) or at least ${min}`)
    .default(0);

const flag = (does: string) =>
  setting(
    z
      .enum(['on', 'off', 'true', 'false'])
      .default('off')
      .transform((value) => value === 'on' || value === 'true'),
    does,
    { values: '`on`, `off`, `true`, `false`', fallback: '`off`' },
  );
/** A file of certificates (PEM), read at once: a wrong path stops the start. */
const certificates = (does: string) =>
  setting(
    z
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
      .optional(),
    does,
    { values: 'file', fallback: 'the authorities that Node knows' },
  );

const general = {
  NODE_ENV: setting(
    z.enum(['development', 'test', 'production']).default('development'),
    'production refuses what is not safe, as the settings below say',
  ),
  LOG_LEVEL: setting(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    'the least that is logged',
  ),
  LOG_FORMAT: setting(z.enum(['json', 'pretty']).default('json'), 'a JSON object a line, or for the eye'),
  METRICS_PORT: setting(
    integer(0, 65_535).default(9464),
    'port of [metrics and probes](metrics.md), of the API as of a worker; 0: none. Two processes on one machine need two',
  ),
  METRICS_BIND_ADDRESS: setting(
    z.string().default('127.0.0.1'),
    'address that they are served on; `0.0.0.0` in a container',
  ),
};

const api = {
  PORT: setting(port.default(4000), 'port of the API'),
  BIND_ADDRESS: setting(z.string().optional(), 'address that the API listens on', {
    fallback: '`127.0.0.1`; in production `0.0.0.0`',
  }),
  WEB_CONCURRENCY: setting(integer(1, 64).default(1), 'API processes that share the port'),
  SECRET_KEY_BASE: setting(z.string().default(''), 'signs the tokens', {
    fallback: 'a fixed one; in production none',
    isSecret: true,
    inProduction: { neededBy: { command: 'api', bytesMin: SECRET_BYTES_MIN }, exampleFrom: 'openssl rand -hex 64' },
  }),
  JWT_EXPIRY_SECONDS: setting(integer(1, 31_536_000).default(3600), 'life of a token'),
  LOGIN_ATTEMPTS_MAX: setting(
    integer(1, 1_000_000).default(10),
    'failed sign-ins for one name from one address in a quarter of an hour; ten times as many from one address, fifty times for one name',
  ),
  TRUSTED_PROXIES: setting(
    integer(0, 10).default(0),
    'proxies in front of the API whose `X-Forwarded-For` is believed; without it all clients behind a proxy count as one',
  ),
  REQUEST_TIMEOUT_SECONDS: setting(
    integer(1, 3600).default(30),
    'a request that has not come in whole by then is answered with 408, and its connection closed',
  ),
  CORS_ORIGINS: setting(
    z
      .string()
      .default('')
      .transform((list) => list.split(',').flatMap((origin) => origin.trim() || []))
      .refine((origins) => origins.every(isOrigin), 'must be origins with commas between: https://app.example.com'),
    'origins whose pages may use the API from a browser, with commas between: `https://app.example.com`',
    { values: 'origins', fallback: 'none' },
  ),
  INITIAL_ROOT_PASSWORD: setting(
    z.string().optional(),
    'password of the user root, whom the first `bjr migrate` makes',
    {
      ...password,
      fallback: `\`${DEFAULT_PASSWORD}\`; in production none`,
    },
  ),
  INITIAL_ADMIN_PASSWORD: setting(z.string().optional(), 'the same for the user admin', {
    ...password,
    fallback: `\`${DEFAULT_PASSWORD}\`; in production none`,
  }),
};

/** Exactly as browsers send it: lower case, no path, the port only where it is not the scheme's own. */
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

const database = {
  BJR_DATABASE: setting(
    z
      .string()
      .regex(/^[A-Za-z0-9_$-]{1,64}$/, 'may hold letters, digits, _, $ and - (64 at most)')
      .optional(),
    'name of the database',
    { values: 'letters, digits, `_`, `$`, `-`', fallback: '`bjr_` and `NODE_ENV`' },
  ),
  BJR_DATABASE_HOST: setting(z.string().default('127.0.0.1'), 'MySQL 8.0+ or MariaDB 10.6+'),
  BJR_DATABASE_PORT: setting(port.default(3306), 'its port'),
  BJR_DATABASE_USERNAME: setting(z.string().default('root'), 'account; it needs all rights on the database'),
  BJR_DATABASE_PASSWORD: setting(z.string().default(''), "the account's password", password),
  BJR_DATABASE_POOL: setting(integer(2, 1000).default(10), 'most connections of a process'),
  BJR_DATABASE_TLS: flag(
    "encrypted, and the server's certificate must be for `BJR_DATABASE_HOST`, which is then a name, not an address",
  ),
  BJR_DATABASE_TLS_CA: certificates('certificates (PEM) of those who may have signed it'),
};

const redis = {
  REDIS_HOST: setting(z.string().default('127.0.0.1'), 'Redis or Valkey'),
  REDIS_PORT: setting(port.default(6379), 'its port'),
  REDIS_USERNAME: setting(z.string().optional(), 'account (ACL); it needs `REDIS_PASSWORD`', { fallback: 'none' }),
  REDIS_PASSWORD: setting(z.string().optional(), "the account's password; alone, that of `requirepass`", {
    ...password,
    fallback: 'none',
  }),
  REDIS_TLS: flag("encrypted, and the server's certificate must be for `REDIS_HOST`"),
  REDIS_TLS_CA: certificates('certificates (PEM) of those who may have signed it'),
  REDIS_DB: setting(integer(0, 1_000_000).optional(), 'number of the Redis database', { fallback: '`0`' }),
  REDIS_SIDEKIQ_DB: setting(integer(0, 1_000_000).optional(), "the first BJR's name for `REDIS_DB`, which wins", {
    fallback: 'none',
  }),
};

const scheduler = {
  TICK_SECONDS: setting(
    integer(1, 60).default(60),
    "period of the leader's mark; expired leases are looked for each sixth of `LEASE_SECONDS`",
  ),
  LEADER_ELECTION: setting(onOff.default('on'), '`off`: every worker leads (for tests, or a single worker)'),
  AUDIT_KEEP_DAYS: setting(
    integer(0, 36_500).default(365),
    'how long the [audit log](security.md) is kept; 0: for ever',
  ),
  DELIVERY_KEEP_DAYS: setting(
    integer(0, 36_500).default(30),
    'how long the log of callbacks that are delivered or given up is kept; 0: for ever',
  ),
};

const worker = {
  WORKER_CONCURRENCY: setting(integer(1, 1000).default(10), 'commands that a worker runs at a time'),
  RUNNERS: setting(integer(1, 256).default(availableParallelism()), 'processes that start them', {
    fallback: 'one a core',
  }),
  LEASE_SECONDS: setting(
    integer(3, 3600).default(30),
    'a worker that is silent for this long loses its runs; it renews at a third of it',
  ),
  MISFIRE_GRACE_SECONDS: setting(
    integer(0, 86_400).default(15),
    'with the policy `skip`: an occurrence at most this late still runs',
  ),
  DRAIN_TIMEOUT_SECONDS: setting(integer(0, 86_400).default(60), 'how long a stopping worker lets commands finish'),
  KILL_GRACE_SECONDS: setting(integer(0, 600).default(5), 'from TERM to KILL'),
  OUTPUT_LIMIT_BYTES: setting(
    integer(1024, 16_777_216).default(1_048_576),
    'kept of each stream of a run, half as head, half as tail; at most a sixth of what the database takes at once (`max_allowed_packet`)',
  ),
  STATE_DIRECTORY: setting(
    z.string().default(join(homedir(), '.local/state/bjr')),
    'a worker keeps outcomes here, in `spool`, that the database could not take yet; a disk that outlives the process, for its own user only',
    { fallback: '`~/.local/state/bjr`' },
  ),
  CALLBACK_PRIVATE_TARGETS: setting(
    onOff.default('off'),
    '`on`: [callbacks](callbacks.md) may go to addresses that are not on the public internet',
  ),
};

const commands = {
  JOB_DIRECTORY: setting(z.string().optional(), 'where commands start', {
    fallback: 'home of the user that a command runs as',
  }),
  JOB_USER: setting(
    z.string().optional(),
    'OS user (by name) that commands run as, with its primary group and no other; the worker must be root. In production a worker that is root needs this or `JOB_UID_BASE`; `JOB_USER=root` says that root is meant',
    { fallback: "the worker's own user" },
  ),
  JOB_UID_BASE: setting(
    integer(1000, 2_000_000_000).optional(),
    "instead of `JOB_USER`: commands of BJR's user _n_ run with user and group id base + _n_, which need no account",
    { fallback: 'none' },
  ),
  JOB_UMASK: setting(
    z
      .string()
      .regex(/^[0-7]{1,4}$/, 'must be octal, such as 0027')
      .default('0027')
      .transform((digits) => Number.parseInt(digits, 8))
      .pipe(z.number().max(0o777)),
    'umask of commands',
    { values: 'octal', fallback: '`0027`' },
  ),
  JOB_NICE: setting(integer(0, 19).default(0), 'niceness of commands'),
  JOB_MEMORY_LIMIT_BYTES: setting(
    limit(16_777_216, Number.MAX_SAFE_INTEGER),
    'address space of each process of a command',
    { values: '16777216 or more', fallback: '`0`: no limit' },
  ),
  JOB_PROCESSES_MAX: setting(
    limit(1, 4_194_304),
    "processes and threads of the command's OS user, all its runs together; root is not limited",
    { fallback: '`0`: no limit' },
  ),
  JOB_FILE_SIZE_LIMIT_BYTES: setting(
    limit(1024, Number.MAX_SAFE_INTEGER),
    'largest file that a command may write, in steps of 1024',
    { values: '1024 or more', fallback: '`0`: no limit' },
  ),
  JOB_CGROUPS: setting(
    z.enum(['auto', 'on', 'off']).default('auto'),
    'whether each run gets a [cgroup of its own](reliability.md#where-it-ends): `auto` where it can be had and costs a run less than 2 ms; with `on` a worker that cannot have them does not start',
  ),
  JOB_PATH: setting(
    z.string().default('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'),
    '`PATH` of commands',
  ),
};

const legacy = {
  LEGACY_DATABASE_URL: setting(
    z
      .string()
      .refine(isMysqlUrl, 'must be mysql://USER:PASSWORD@HOST:PORT/DATABASE, with % codes for what is special in a URL')
      .optional(),
    "the first BJR's database, which `bjr import-legacy` only reads: `mysql://USER:PASSWORD@HOST:PORT/DATABASE`",
    { values: 'URL', fallback: 'none', isSecret: true },
  ),
};

function isMysqlUrl(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'mysql:' && new URL(text).pathname.length > 1;
}

/** By what they are for, in the order in which they are told. */
export const SECTIONS: Record<string, Record<string, z.ZodType>> = {
  General: general,
  'The API': api,
  'The database': database,
  Redis: redis,
  'The leader': scheduler,
  Workers: worker,
  Commands: commands,
  'The first BJR': legacy,
};

export const environment = z.object({
  ...general,
  ...api,
  ...database,
  ...redis,
  ...scheduler,
  ...worker,
  ...commands,
  ...legacy,
});

export type Environment = z.infer<typeof environment>;
