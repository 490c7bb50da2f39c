import { setTimeout as delay } from 'node:timers/promises';

const WAIT_MS = 180_000;

/** The first answer that is one, asked for again and again: what is waited for happens in another process. */
export async function until<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer as NonNullable<Exclude<T, false>>;
    if (performance.now() > endMs) throw new Error(`Waited in vain for ${what}`);
    await delay(200);
  }
}
