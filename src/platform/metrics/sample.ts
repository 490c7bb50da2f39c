import type { Monotonic } from '../clock.ts';

interface SampleOptions {
  /** For how long an answer serves. */
  keepMs: number;
  /** Longer than this nobody who asks waits. */
  patienceMs: number;
  monotonic: Monotonic;
}

/**
 * What is read from elsewhere for whoever scrapes: asked once at a time and kept for a moment, so that many scrapes cost
 * what one does, and a database that hangs is not asked again meanwhile. Null: no answer, or none in time.
 */
export function createSample<T>(
  read: () => Promise<T>,
  { keepMs, patienceMs, monotonic }: SampleOptions,
): () => Promise<T | null> {
  let reading: Promise<T | null> | null = null;
  let staleAtMs = Number.POSITIVE_INFINITY;

  const begin = () => {
    staleAtMs = Number.POSITIVE_INFINITY;
    const begun = read()
      .catch(() => null)
      .finally(() => {
        staleAtMs = monotonic() + keepMs;
      });
    return begun;
  };

  return async () => {
    if (!reading || monotonic() >= staleAtMs) reading = begin();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), patienceMs);
    });
    const answer = await Promise.race([reading, late]);
    clearTimeout(timer);
    return answer;
  };
}
