import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { ConfigError, type JobUserConfig } from '../platform/config.ts';
import type { Owner } from '../runner/protocol.ts';

/** What a command is told of the user that it runs as, and who that is. */
export interface JobUser {
  /** Not given: the worker's own. */
  owner?: Owner;
  home: string;
  /** Not given: the worker's own. */
  name?: string;
}

/** By the id of the BJR user whose job it is. */
export type JobUserOf = (userId: number) => JobUser;

interface Standing {
  isProduction: boolean;
  /** The worker's; undefined where the system has none. */
  uid: number | undefined;
}

/** @throws {ConfigError} where the worker cannot, or must not, run commands as the settings have it */
export function createJobUsers({ name, uidBase }: JobUserConfig, { isProduction, uid }: Standing): JobUserOf {
  const setting = name === null ? 'JOB_UID_BASE' : 'JOB_USER';
  const isSet = name !== null || uidBase !== null;
  if (isSet && uid !== 0)
    throw new ConfigError([`${setting}: only a worker that is root can run commands as another user`]);
  if (!isSet && uid === 0 && isProduction) throw new ConfigError([ROOT_REFUSED]);
  if (name !== null) return always(findUser(name));
  if (uidBase !== null) return usersFrom(uidBase);
  return always({ home: homedir() });
}

const ROOT_REFUSED =
  'JOB_USER: the worker is root, and so would be every command; name the OS user that they run as, or set JOB_UID_BASE ' +
  '(JOB_USER=root if that is what you want)';

const always =
  (user: JobUser): JobUserOf =>
  () =>
    user;

interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** root itself is no other user: its commands are started as the worker's own. */
function findUser(name: string): JobUser {
  const account = parseAccounts(askForAccounts([name])).find((candidate) => candidate.name === name);
  if (!account) throw new ConfigError([`JOB_USER: the system knows no user '${name}'`]);
  const { uid, gid } = account;
  return { name, home: usableHome(account), ...(uid !== 0 && { owner: { uid, gid } }) };
}

function usersFrom(uidBase: number): JobUserOf {
  const accounts = new Map(parseAccounts(askForAccounts([])).map((account) => [account.uid, account]));
  return (userId) => {
    const id = uidBase + userId;
    const account = accounts.get(id);
    return {
      owner: { uid: id, gid: id },
      name: account?.name ?? String(id),
      home: account ? usableHome(account) : '/',
    };
  };
}

const usableHome = ({ home }: Account) => (existsSync(home) ? home : '/');

/** getent knows users of a directory service (LDAP) too; systems without it (musl, macOS) have the file. */
function askForAccounts(keys: string[]): string {
  try {
    return execFileSync('getent', ['passwd', ...keys], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return readFileSync('/etc/passwd', 'utf8');
  }
}

/** passwd(5): name, password, uid, gid, comment, home, shell. */
function parseAccounts(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid, gid, , home = ''] = line.split(':');
    return uid && gid ? { name, uid: Number(uid), gid: Number(gid), home } : [];
  });
}
