import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { giveUpSilent } from '../../src/store/giveUpSilent.ts';

const SILENCE_MS = 200;

let client: Socket;
let server: Socket;
let end: () => void;

beforeEach(async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  [server] = await once(listener, 'connection');
  end = () => {
    server.destroy();
    client.destroy();
    listener.close();
  };
});
afterEach(() => end());

/** Nothing is read and no timer fires meanwhile, as under SIGSTOP. */
const pauseProcess = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test('a connection on which nothing moves is given up', async () => {
  giveUpSilent(client, SILENCE_MS);
  const [error] = await once(client, 'error');
  expect(error).toMatchObject({ code: 'ETIMEDOUT' });
});

test('an answer that came while the process was paused is read', async () => {
  const heard: string[] = [];
  client.setEncoding('utf8').on('data', (text: string) => heard.push(text));
  giveUpSilent(client, SILENCE_MS);
  const failed = once(client, 'error');
  // After an immediate the loop looks at its timers, and only then at what can be read.
  await new Promise((resolve) => setImmediate(resolve));
  server.write('an answer');
  pauseProcess(2 * SILENCE_MS);
  // From then on it is silent again.
  expect(await Promise.race([failed.then(() => 'failed'), once(client, 'data').then(() => 'read')])).toBe('read');
  await failed;
  expect(heard).toEqual(['an answer']);
});
