import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const LOOPBACK = '127.0.0.1';

/** Whether somebody listens there already. */
export function isPortFree(port: number, host: string = LOOPBACK): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** The port that a file remembers, if it is free still; else another, which the file then remembers. */
export async function keepPort(file: string): Promise<number> {
  const remembered = readPort(file);
  if (remembered && (await isPortFree(remembered))) return remembered;
  const port = await findFreePort();
  writeFileSync(file, String(port));
  return port;
}

function readPort(file: string): number | null {
  try {
    const port = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
  } catch {
    return null;
  }
}

/** Resolves when the port answers. @throws what `failure` says once it says something, or after the time given */
export async function awaitPort(port: number, { timeoutMs, failure }: { timeoutMs: number; failure(): string | null }) {
  for (let waitedMs = 0; !(await answers(port)); waitedMs += 50) {
    const reason = failure() ?? (waitedMs > timeoutMs ? `no answer on port ${port} in ${timeoutMs / 1000} s` : null);
    if (reason) throw new Error(reason);
    await delay(50);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, LOOPBACK);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
