import { foldName } from '../../src/domain/name.ts';
import { insertId } from '../../src/store/database.ts';
import { jobs, users } from '../../src/store/schema.ts';
import type { TestEnvironment } from './environment.ts';

type NewJob = Partial<typeof jobs.$inferInsert>;

let serial = 0;

/** A job's row as a test needs it: by default due since a second ago, each minute, `true`. */
export async function addJob({ db }: TestEnvironment, job: NewJob = {}): Promise<number> {
  const name = job.name ?? `job ${++serial}`;
  const at = job.nextRun ?? minuteAgo();
  const due = job.state === 'idle' ? {} : { state: 'due' as const, dueAt: at };
  const row = {
    userId: 1,
    name,
    nameKey: foldName(name),
    command: 'true',
    cron: '* * * * *',
    timezone: 'UTC',
    nextRun: at,
  };
  return insertId(await db.insert(jobs).values({ ...row, ...due, ...job }));
}

/** Whose jobs they are, where a test needs the user's row. */
export async function addUser({ db }: TestEnvironment, user: { id: number; jobCount: number }): Promise<void> {
  const name = `user ${user.id}`;
  await db.insert(users).values({ ...user, username: name, usernameKey: name, passwordDigest: '' });
}

/** The last full minute: an occurrence that has just passed. */
export function minuteAgo(): Date {
  return new Date(Math.floor(Date.now() / 60_000) * 60_000);
}
