import { attempt, type Redis } from './connection.ts';

/** Tells the worker that holds a run that its user wants it ended. Where Redis is away the database tells it, later. */
export interface Cancels {
  send(runId: number): Promise<void>;
}

export function createCancels(redis: Redis, prefix: string): Cancels {
  return {
    async send(runId) {
      await attempt(() => redis.publish(channel(prefix), String(runId)));
    },
  };
}

/** Listens on a connection of its own. */
export function listenForCancels(redis: Redis, prefix: string, onCancel: (runId: number) => void): { close(): void } {
  const subscriber = redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null });
  subscriber.on('error', () => {});
  subscriber.subscribe(channel(prefix)).catch(() => {});
  subscriber.on('message', (_, runId) => onCancel(Number(runId)));
  return { close: () => subscriber.disconnect() };
}

const channel = (prefix: string) => `${prefix}cancels`;
