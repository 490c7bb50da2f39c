import { attempt, type Redis } from './connection.ts';

/** Due earlier than workers may expect: a job (a run now, a new or edited one, a mark), or a callback too. */
export type Woken = 'jobs' | 'all';

export interface WakeUps {
  send(woken: Woken): Promise<void>;
}

export function createWakeUps(redis: Redis, prefix: string): WakeUps {
  return {
    async send(woken) {
      await attempt(() => redis.publish(channel(prefix), woken));
    },
  };
}

/** Listens on a connection of its own. Also called when the connection comes back: messages may have been missed. */
export function listenForWakeUps(redis: Redis, prefix: string, onWakeUp: (woken: Woken) => void): { close(): void } {
  const subscriber = redis.duplicate({ autoResubscribe: false });
  subscriber.on('error', () => {});
  subscriber.on('ready', () => {
    subscriber.subscribe(channel(prefix)).then(
      () => onWakeUp('all'),
      () => {},
    );
  });
  // An older version's message says nothing.
  subscriber.on('message', (_, text) => onWakeUp(text === 'jobs' ? 'jobs' : 'all'));
  return { close: () => subscriber.disconnect() };
}

const channel = (prefix: string) => `${prefix}wake`;
