import type { Emit } from '../platform/events.ts';
import type { Log } from '../platform/log.ts';
import type { WorkerCommands } from '../redis/workerCommands.ts';
import type { WorkerRegistry } from '../redis/workers.ts';
import type { RunParts } from '../services/runs.ts';
import type { Caller } from '../services/services.ts';

/** What middleware leaves for the routes. */
export interface ApiEnv {
  Variables: {
    params: Record<string, unknown>;
    /** IANA name of the zone in which this answer's dates are written. */
    timezone: string;
    caller: Caller;
    /** Whether the token still stands for the caller; true while the database cannot say. */
    isStillCaller: () => Promise<boolean>;
  };
}

export interface ApiParts extends RunParts {
  registry: WorkerRegistry;
  workerCommands: WorkerCommands;
  /** Proxies in front of the API whose X-Forwarded-For is believed. */
  trustedProxies: number;
  /** Whose pages may use the API from a browser: `https://app.example.com`. */
  corsOrigins: string[];
  emit: Emit;
  log: Log;
}
