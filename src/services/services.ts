import type { WakeUps } from '../redis/wakeUps.ts';
import type { Database } from '../store/database.ts';
import type { Tokens } from './tokens.ts';

/** What the use cases need. */
export interface ServiceParts {
  db: Database;
  wakeUps: WakeUps;
  tokens: Tokens;
}

/** Who asks. */
export interface Caller {
  userId: number;
  isRoot: boolean;
}

/** A page of a list. */
export interface Page {
  limit: number;
  offset: number;
}
