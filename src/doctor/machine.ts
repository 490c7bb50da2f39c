import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError, type WorkerConfig } from '../platform/config.ts';
import { judge, tryCgroups } from '../worker/jobCgroups.ts';
import { createJobUsers, type JobUser } from '../worker/jobUser.ts';
import { type Finding, failure, ok, reasonOf, warning } from './finding.ts';

/** The machine of a worker. */
export async function checkMachine(config: WorkerConfig, isProduction: boolean): Promise<Finding[]> {
  return [
    ...checkJobUser(config, isProduction),
    await checkCgroups(config),
    checkStateDirectory(dirname(config.spoolDirectory)),
    ...(config.jobDirectory === null ? [] : [checkJobDirectory(config.jobDirectory)]),
    ...judgeLimits(config, readLimits()),
  ];
}

function checkJobUser({ jobUser }: WorkerConfig, isProduction: boolean): Finding[] {
  const what = 'job user';
  const uid = process.getuid?.();
  try {
    const user = createJobUsers(jobUser, { isProduction, uid })(1);
    if (user.owner) return [checkSwitch(user, user.owner)];
    if (uid !== 0) return [ok(what, `commands run as the worker's own user, number ${uid}`)];
    return [warning(what, 'commands run as root', 'JOB_USER, or JOB_UID_BASE')];
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map((problem) => failure(what, problem, 'change that setting'));
    return [failure(what, reasonOf(error), 'change JOB_USER or JOB_UID_BASE')];
  }
}

/** By doing it: a container's root may lack the right. */
function checkSwitch({ name, home }: JobUser, owner: { uid: number; gid: number }): Finding {
  const what = 'job user';
  const { error, status } = spawnSync('/bin/sh', ['-c', 'exit 0'], { ...owner, cwd: '/', env: {}, stdio: 'ignore' });
  if (error || status !== 0) {
    const says = `this process may not become '${name}': ${error ? reasonOf(error) : `exit code ${status}`}`;
    return failure(what, says, 'the capabilities SETUID, SETGID, KILL, CHOWN, DAC_OVERRIDE and FOWNER');
  }
  if (home === '/') return warning(what, `${name} has no home: commands start in /`, 'make one, or set JOB_DIRECTORY');
  return ok(what, `commands run as ${name}, in ${home}`);
}

async function checkCgroups({ jobCgroups }: WorkerConfig): Promise<Finding> {
  const what = 'job cgroups';
  if (jobCgroups === 'off') return ok(what, 'off: what leaves its group is found by its environment');
  const usable = judge(jobCgroups, await tryCgroups());
  if ('parent' in usable) return ok(what, 'each run gets one of its own, and nothing escapes its forced end');
  const says = `none, so what leaves its group and clears its environment outlives its run: ${usable.reason}`;
  const mend = 'Delegate=yes in the unit, or a container with a writable cgroup of version 2';
  return jobCgroups === 'on' ? failure(what, says, mend) : warning(what, says, mend);
}

const SPACE_BYTES_MIN = 100 * 1024 * 1024;

/** By writing there. What does not exist yet is made by the worker: its parent is tried, and left as it was. */
function checkStateDirectory(directory: string): Finding {
  const what = 'state directory';
  const mend = 'STATE_DIRECTORY: a folder that this user may write, on a disk that outlives the process';
  const nearest = nearestExisting(directory);
  try {
    rmdirSync(mkdtempSync(join(nearest, '.bjr-doctor-')));
  } catch (error) {
    return failure(what, `${directory} cannot be written: ${reasonOf(error)}`, mend);
  }
  const { bavail, bsize } = statfsSync(nearest);
  const freeBytes = bavail * bsize;
  const says = `${directory} ${nearest === directory ? 'can be written' : 'can be made'}`;
  if (freeBytes >= SPACE_BYTES_MIN) return ok(what, says);
  return warning(what, `${says}; ${Math.round(freeBytes / 1024 / 1024)} MiB are free`, 'more space on that disk');
}

function nearestExisting(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : nearestExisting(dirname(path));
}

function checkJobDirectory(directory: string): Finding {
  const what = 'job directory';
  const isThere = existsSync(directory) && statSync(directory).isDirectory();
  if (isThere) return ok(what, directory);
  return failure(what, `${directory} is no directory: every run would fail`, 'make it, or change JOB_DIRECTORY');
}

/** By their names in /proc; Infinity: unlimited. */
type Limits = Map<string, { soft: number; hard: number }>;

/** None where the system does not say (anything but Linux). */
function readLimits(): Limits {
  if (!existsSync('/proc/self/limits')) return new Map();
  const rows = readFileSync('/proc/self/limits', 'utf8').matchAll(/^(Max .*?) {2,}(\S+) +(\S+)/gm);
  return new Map(
    Array.from(rows, ([, name = '', soft, hard]) => [name, { soft: toNumber(soft), hard: toNumber(hard) }]),
  );
}

const toNumber = (text = '') => (text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text));

/** For the connections, files and channels of a worker itself. */
const FILES_BASE = 256;
/** Pipes and watchers of a command, at the most. */
const FILES_EACH = 8;
/** A shell and what it starts. */
const PROCESSES_EACH = 4;
/** Node's threads. */
const THREADS_EACH = 12;

function judgeLimits({ slots, runners, jobLimits }: WorkerConfig, limits: Limits): Finding[] {
  const enough = (what: string, name: string, needed: number, mend: string) => {
    const soft = limits.get(name)?.soft ?? Number.POSITIVE_INFINITY;
    const says = Number.isFinite(soft) ? `${soft}` : 'no limit';
    return soft >= needed ? ok(what, says) : failure(what, `${says}; ${slots} slots can need ${needed}`, mend);
  };
  return [
    enough('open files', 'Max open files', FILES_BASE + slots * FILES_EACH, 'LimitNOFILE= of the unit, or ulimit -n'),
    enough(
      'processes',
      'Max processes',
      (runners + 1) * THREADS_EACH + slots * PROCESSES_EACH,
      'LimitNPROC= of the unit, or ulimit -u',
    ),
    ...judgeJobLimit('JOB_MEMORY_LIMIT_BYTES', jobLimits.memoryBytesMax, limits.get('Max address space')),
    ...judgeJobLimit('JOB_FILE_SIZE_LIMIT_BYTES', jobLimits.fileBytesMax, limits.get('Max file size')),
    ...judgeJobLimit('JOB_PROCESSES_MAX', jobLimits.processesMax, limits.get('Max processes')),
  ];
}

/** 0: not set. A process cannot give its children more than it has. */
function judgeJobLimit(name: string, wanted: number, own: { hard: number } | undefined): Finding[] {
  if (wanted === 0) return [];
  const hard = own?.hard ?? Number.POSITIVE_INFINITY;
  if (wanted <= hard) return [ok(name, `${wanted}`)];
  return [
    failure(
      name,
      `${wanted} is more than the worker has itself (${hard}): every run would fail`,
      `${hard} at the most`,
    ),
  ];
}
