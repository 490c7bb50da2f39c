import type { DatabaseConfig } from '../platform/config.ts';
import { type Database, errorCode, readNowMs } from '../store/database.ts';
import { findMissingIndexes, type Index, readVariables } from '../store/inspect.ts';
import { outputBytesFitting } from '../store/outputRoom.ts';
import { requireSchema, SchemaOutdated } from '../store/requireSchema.ts';
import { checkClock } from './clock.ts';
import { type Finding, failure, ok, reasonOf, warning } from './finding.ts';

export interface DatabaseCheck {
  db: Database;
  config: DatabaseConfig;
  /** Connections of all processes of this node. */
  connections: number;
  /** The longest output of a stream that is kept. */
  outputBytesMax: number;
  wallClock(): number;
}

/** Everything about the database; where it does not answer, that alone. */
export async function checkDatabase(check: DatabaseCheck): Promise<Finding[]> {
  const { db, config, wallClock } = check;
  const where = `${config.username}@${config.host}:${config.port}/${config.name}`;
  let variables: Map<string, string>;
  try {
    variables = await readVariables(db, VARIABLES);
  } catch (error) {
    return [failure('database', `${where}: ${reasonOf(error)}`, mendOf(errorCode(error)))];
  }
  return [
    ok('database', `${where} answers`),
    judgeVersion(variables.get('version') ?? ''),
    ...judgeSession(variables),
    await checkOutput(db, check.outputBytesMax),
    judgeConnections(variables, check.connections),
    await checkClock('database clock', () => readNowMs(db), wallClock),
    ...(await checkSchema(db)),
  ];
}

const VARIABLES = [
  'version',
  'transaction_isolation',
  'tx_isolation',
  'time_zone',
  'sql_mode',
  'log_bin',
  'binlog_format',
  'max_connections',
];

function mendOf(code: string): string {
  switch (code) {
    case 'ER_BAD_DB_ERROR':
      return 'bjr migrate makes the database, or BJR_DATABASE names another';
    case 'ER_ACCESS_DENIED_ERROR':
    case 'ER_DBACCESS_DENIED_ERROR':
      return 'BJR_DATABASE_USERNAME, BJR_DATABASE_PASSWORD; the account needs all rights on the database';
    default:
      return 'start it, or set BJR_DATABASE_HOST and BJR_DATABASE_PORT';
  }
}

/** Exported, as are the other judges, for the tests of what no server at hand is. */
export function judgeVersion(version: string): Finding {
  const isMaria = /mariadb/i.test(version);
  const [major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(version.replace(/^5\.5\.5-/, '')) ?? []).slice(1).map(Number);
  const isNew = isMaria ? major > 10 || (major === 10 && minor >= 6) : major >= 8;
  const what = 'database version';
  return isNew ? ok(what, version) : failure(what, `${version} is too old`, 'MySQL 8.0 or MariaDB 10.6, or newer');
}

/** Sessions set their isolation and time zone themselves: it is looked at whether that has come to pass. */
export function judgeSession(variables: Map<string, string>): Finding[] {
  const isolation = variables.get('transaction_isolation') ?? variables.get('tx_isolation');
  const zone = variables.get('time_zone');
  const modes = (variables.get('sql_mode') ?? '').split(',');
  const isLoggedByStatement = variables.get('log_bin') === 'ON' && variables.get('binlog_format') === 'STATEMENT';
  const findings: Finding[] = [];
  if (isolation !== 'READ-COMMITTED')
    findings.push(
      failure('isolation', `${isolation}`, 'what stands between BJR and the server must let SET SESSION through'),
    );
  else if (isLoggedByStatement)
    findings.push(
      failure('isolation', 'InnoDB refuses READ-COMMITTED with binlog_format STATEMENT', 'binlog_format = ROW'),
    );
  else findings.push(ok('isolation', isolation));
  findings.push(
    zone === '+00:00'
      ? ok('time zone', zone)
      : failure('time zone', `${zone}`, 'what stands between BJR and the server must let SET through'),
  );
  if (modes.includes('NO_BACKSLASH_ESCAPES'))
    findings.push(failure('sql mode', 'NO_BACKSLASH_ESCAPES makes quoted values unsafe', 'take it out of sql_mode'));
  else if (!modes.some((mode) => mode.startsWith('STRICT_')))
    findings.push(
      failure(
        'sql mode',
        'not strict: values that do not fit would be cut off in silence',
        'add STRICT_TRANS_TABLES to sql_mode',
      ),
    );
  else findings.push(ok('sql mode', 'strict'));
  return findings;
}

async function checkOutput(db: Database, outputBytesMax: number): Promise<Finding> {
  const fitting = await outputBytesFitting(db);
  const what = 'max_allowed_packet';
  if (outputBytesMax <= fitting) return ok(what, `takes ${fitting} bytes of a stream`);
  const says = `takes ${fitting} bytes of a stream, so of ${outputBytesMax} no more is kept`;
  return warning(what, says, 'a larger max_allowed_packet, or a smaller OUTPUT_LIMIT_BYTES');
}

function judgeConnections(variables: Map<string, string>, connections: number): Finding {
  const max = Number(variables.get('max_connections'));
  const what = 'max_connections';
  const says = `this node may open ${connections} of ${max}`;
  if (connections <= max / 2) return ok(what, says);
  const mend = 'a larger max_connections, or a smaller BJR_DATABASE_POOL or WEB_CONCURRENCY';
  return connections < max ? warning(what, says, mend) : failure(what, says, mend);
}

async function checkSchema(db: Database): Promise<Finding[]> {
  try {
    await requireSchema(db);
  } catch (error) {
    const isBehind = error instanceof SchemaOutdated;
    const says = isBehind ? "lack some of this version's" : reasonOf(error);
    return [failure('migrations', says, 'bjr migrate')];
  }
  const missing = await findMissingIndexes(db);
  return [
    ok('migrations', "this version's are there"),
    ...(missing.length === 0 ? [ok('indexes', 'all are there')] : missing.map(describeMissing)),
  ];
}

function describeMissing({ name, table, isUnique, columns }: Index): Finding {
  const statement = `CREATE ${isUnique ? 'UNIQUE ' : ''}INDEX ${name} ON ${table} (${columns.join(', ')})`;
  return failure('indexes', `${table} has no ${name} over ${columns.join(', ')}`, `${statement};`);
}
