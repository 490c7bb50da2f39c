import type { Actor } from '../domain/audit.ts';
import type { Attempts } from '../redis/attempts.ts';
import type { WakeUps } from '../redis/wakeUps.ts';
import type { Database } from '../store/database.ts';
import type { Tokens } from './tokens.ts';

/** What the use cases need. */
export interface ServiceParts {
  db: Database;
  wakeUps: WakeUps;
  tokens: Tokens;
  attempts: Attempts;
  /** Failed sign-ins for one name from one address, in a quarter of an hour. */
  signInsMax: number;
}

/** Who asks. */
export interface Caller extends Actor {
  userId: number;
  isRoot: boolean;
  /** How many jobs the user has, and how often their definitions have changed. */
  jobCount: number;
  jobsRevision: number;
}

/** A page of a list. */
export interface Page {
  limit: number;
  offset: number;
}
