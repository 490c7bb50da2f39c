import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** A network between a process and a server that can be taken away. */
export interface Network {
  port: number;
  /** Connections break, and no new ones are taken. */
  cut(): void;
  /** Nothing moves, nothing fails: a frozen server, or a firewall that drops. */
  freeze(): void;
  /** Everything arrives so much later. */
  slow(ms: number): void;
  heal(): void;
  close(): Promise<void>;
}

export async function startNetwork(targetPort: number): Promise<Network> {
  let state: 'open' | 'cut' | 'frozen' = 'open';
  let delayMs = 0;
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((client) => {
    if (state === 'cut') {
      client.destroy();
      return;
    }
    const target = dial(targetPort, '127.0.0.1');
    const pair: [Socket, Socket] = [client, target];
    pairs.add(pair);
    for (const [from, to] of [pair, [target, client]] as const) {
      from.on('data', (chunk) => {
        if (delayMs > 0) setTimeout(() => to.write(chunk), delayMs);
        else to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
    if (state === 'frozen') for (const socket of pair) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const each = (work: (socket: Socket) => void) => {
    for (const pair of pairs) for (const socket of pair) work(socket);
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut';
      each((socket) => socket.destroy());
    },
    freeze() {
      state = 'frozen';
      each((socket) => socket.pause());
    },
    slow(ms) {
      delayMs = ms;
    },
    heal() {
      state = 'open';
      delayMs = 0;
      each((socket) => socket.resume());
    },
    async close() {
      each((socket) => socket.destroy());
      server.close();
      await once(server, 'close');
    },
  };
}
