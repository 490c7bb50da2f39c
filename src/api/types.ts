import type { Log } from '../platform/log.ts';
import type { WorkerRegistry } from '../redis/workers.ts';
import type { Caller, ServiceParts } from '../services/services.ts';

/** What middleware leaves for the routes. */
export interface ApiEnv {
  Variables: {
    params: Record<string, unknown>;
    /** IANA name of the zone in which this answer's dates are written. */
    timezone: string;
    caller: Caller;
  };
}

export interface ApiParts extends ServiceParts {
  registry: WorkerRegistry;
  log: Log;
}
