// redlock 5.0.0-beta.2 ships types that its `exports` hide from the compiler; these are the parts used in leaderLock.ts.
declare module 'redlock' {
  import type { Redis } from 'ioredis';

  export class ResourceLockedError extends Error {}
  export class ExecutionError extends Error {
    readonly attempts: ReadonlyArray<Promise<{ votesAgainst: Map<Redis, Error> }>>;
  }
  export class Lock {
    extend(durationMs: number): Promise<Lock>;
    release(): Promise<unknown>;
  }
  export default class Redlock {
    constructor(clients: Iterable<Redis>, settings?: { retryCount?: number });
    acquire(resources: string[], durationMs: number): Promise<Lock>;
    on(event: 'error', listener: (error: Error) => void): this;
  }
}
