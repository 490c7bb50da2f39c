import { NEW_JOB } from '../domain/job.ts';
import { type Database, errorCode, type Queryable } from '../store/database.ts';
import { insertFolder } from '../store/folders.ts';
import { insertJob, type JobWrite } from '../store/jobs.ts';
import { users } from '../store/schema.ts';
import { insertUser } from '../store/users.ts';
import { hashPassword } from './passwords.ts';

export interface InitialPasswords {
  rootPassword: string | null;
  adminPassword: string | null;
}

export class InitialPasswordMissing extends Error {
  constructor() {
    super('The first start creates the users root and admin: set INITIAL_ROOT_PASSWORD and INITIAL_ADMIN_PASSWORD');
    this.name = 'InitialPasswordMissing';
  }
}

const every5Minutes = { ...NEW_JOB, cron: '*/5 * * * *' };

const JOBS: JobWrite[] = [
  { ...every5Minutes, name: 'Welcome to BJR', command: 'echo Welcome to BJR', tags: ['example'] },
  { ...every5Minutes, name: 'Failing Job', command: 'oops', tags: ['example', 'failing'] },
  { ...every5Minutes, name: 'Disabled Job', command: 'echo I wont run', enabled: false },
];

const FOLDERS = [
  { name: 'Successful Jobs', expression: 'successful' },
  { name: 'Failed Jobs', expression: 'failed' },
  { name: 'Running Jobs', expression: 'running' },
  { name: 'Disabled Jobs', expression: 'disabled' },
  { name: 'Example Jobs', expression: 'tags:example' },
];

/**
 * Creates root, admin and admin's examples where there is no user yet. False: there are users already, or another node
 * was faster.
 * @throws {InitialPasswordMissing}
 */
export async function seedFirstStart(db: Database, passwords: InitialPasswords): Promise<boolean> {
  if ((await db.$count(users)) > 0) return false;
  const { rootPassword, adminPassword } = passwords;
  if (rootPassword === null || adminPassword === null) throw new InitialPasswordMissing();
  const digests = { root: await hashPassword(rootPassword), admin: await hashPassword(adminPassword) };
  try {
    await db.transact((tx) => seed(tx, digests));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ER_DUP_ENTRY') return false;
    throw error;
  }
}

async function seed(tx: Queryable, digests: { root: string; admin: string }): Promise<void> {
  await insertUser(tx, { username: 'root', passwordDigest: digests.root, isRoot: true });
  const userId = await insertUser(tx, { username: 'admin', passwordDigest: digests.admin, isRoot: false });
  for (const job of JOBS) await insertJob(tx, userId, job);
  for (const folder of FOLDERS) await insertFolder(tx, userId, folder);
}
