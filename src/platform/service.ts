import type { Log } from './log.ts';

/** A loop: `runOnce` decides and says how long to sleep; the service sleeps, survives errors, and stops. */
export interface Service {
  start(): void;
  /** Ends the present sleep: the next pass begins at once. */
  wake(): void;
  /** Resolves once the pass under way has ended; no other begins. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  name: string;
  log: Log;
  /** One pass. Returns the milliseconds to sleep before the next one. */
  runOnce: () => Promise<number>;
  /** After an error: doubled for every further one in a row, up to `retryMsMax`, with jitter. */
  retryMs?: number;
  retryMsMax?: number;
}

export function createService({ name, log, runOnce, retryMs = 200, retryMsMax = 5000 }: ServiceOptions): Service {
  let isStopping = false;
  let isAwake = false;
  let endSleep: (() => void) | undefined;
  let loop: Promise<void> = Promise.resolve();

  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      if (isStopping || isAwake) return resolve();
      const timer = setTimeout(resolve, ms);
      endSleep = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const run = async () => {
    let failures = 0;
    while (!isStopping) {
      isAwake = false;
      const delayMs = await runOnce().then(
        (ms) => {
          failures = 0;
          return ms;
        },
        (error: unknown) => {
          failures += 1;
          log.error({ err: error, service: name, failures }, `${name}: a pass failed, it will be tried again`);
          return jitter(Math.min(retryMs * 2 ** (failures - 1), retryMsMax));
        },
      );
      await sleep(delayMs);
      endSleep = undefined;
    }
  };

  return {
    start() {
      loop = run();
    },
    wake() {
      isAwake = true;
      endSleep?.();
    },
    async stop() {
      isStopping = true;
      endSleep?.();
      await loop;
    },
  };
}

/** Half to one and a half times the period, so that nodes started together do not stay in step. */
export function jitter(ms: number): number {
  return ms * (0.5 + Math.random());
}
