import { attempt, type Redis } from './connection.ts';

/** What can be asked of all workers on a host. */
export const WORKER_COMMANDS = ['quiesce', 'resume', 'stop'] as const;
export type WorkerCommand = (typeof WORKER_COMMANDS)[number];

interface Message {
  host: string;
  command: WorkerCommand;
}

export interface WorkerCommands {
  /** False where Redis is away. */
  send(message: Message): Promise<boolean>;
}

export function createWorkerCommands(redis: Redis, prefix: string): WorkerCommands {
  return {
    async send(message) {
      return (await attempt(() => redis.publish(channel(prefix), JSON.stringify(message)))) !== null;
    },
  };
}

/** Listens on a connection of its own for what is asked of this host's workers. `listening`: once it hears them. */
export function listenForCommands(
  redis: Redis,
  { prefix, host }: { prefix: string; host: string },
  onCommand: (command: WorkerCommand) => void,
): { listening: Promise<void>; close(): void } {
  const subscriber = redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null });
  subscriber.on('error', () => {});
  const listening = subscriber.subscribe(channel(prefix)).then(
    () => {},
    () => {},
  );
  subscriber.on('message', (_, text) => {
    const message = read(text);
    const command = WORKER_COMMANDS.find((known) => known === message?.command);
    if (message?.host === host && command) onCommand(command);
  });
  return { listening, close: () => subscriber.disconnect() };
}

/** Null for what nobody here has sent: all workers hear it at once, and none may fall over it. */
function read(text: string): Partial<Message> | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const channel = (prefix: string) => `${prefix}commands`;
