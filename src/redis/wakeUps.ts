import { attempt, type Redis } from './connection.ts';

/** Tells workers that a job became due earlier than they may expect: a run now, a new or edited job, a mark. */
export interface WakeUps {
  send(): Promise<void>;
}

export function createWakeUps(redis: Redis, prefix: string): WakeUps {
  return {
    async send() {
      await attempt(() => redis.publish(channel(prefix), ''));
    },
  };
}

/** Listens on a connection of its own. Also called when the connection comes back: messages may have been missed. */
export function listenForWakeUps(redis: Redis, prefix: string, onWakeUp: () => void): { close(): void } {
  const subscriber = redis.duplicate({ autoResubscribe: false });
  subscriber.on('error', () => {});
  subscriber.on('ready', () => {
    subscriber.subscribe(channel(prefix)).then(onWakeUp, () => {});
  });
  subscriber.on('message', onWakeUp);
  return { close: () => subscriber.disconnect() };
}

const channel = (prefix: string) => `${prefix}wake`;
