import { connect, type Socket } from 'node:net';

/** A connection on which a test says what no HTTP client would. */
export interface RawConnection {
  readonly socket: Socket;
  write(text: string | Buffer): void;
  /** All that came until the server closed the connection. */
  readonly closed: Promise<string>;
  /** Resolves with all that came so far, as soon as the test holds for it; rejects when the connection closes before. */
  until(test: (text: string) => boolean): Promise<string>;
}

export function openRaw(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  let isClosed = false;
  let waiting: (() => void)[] = [];
  const wake = () => {
    const woken = waiting;
    waiting = [];
    for (const one of woken) one();
  };
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    wake();
  });
  // A reset is one way of closing.
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => {
      isClosed = true;
      resolve(text);
      wake();
    });
  });
  return {
    socket,
    write: (part) => void socket.write(part),
    closed,
    async until(test) {
      while (!test(text)) {
        if (isClosed) throw new Error(`The connection was closed after:\n${text}`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      return text;
    },
  };
}

/** The statuses of all answers in what came, in their order. */
export const statusesIn = (text: string) =>
  [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
