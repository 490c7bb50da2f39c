import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CallbackSender, createCallbackSender } from '../../src/worker/sendCallback.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const FULL = fileURLToPath(new URL('../fixtures/fullSender.ts', import.meta.url));

let receiver: Receiver;
let sender: CallbackSender;
beforeEach(async () => {
  receiver = await startReceiver();
  sender = createCallbackSender({ hasPrivateTargets: true });
});
afterEach(async () => {
  await sender.close();
  await receiver.close();
});
const send = () => {
  const sentAt = new Date('2020-01-01T00:00:00.900Z');
  return sender.send({ url: receiver.url, body: '{}', deliveryId: 1, secret: 'secret', sentAt });
};

test("a callback is signed with the time that it is given, not with this node's", async () => {
  expect(await send()).toEqual({ status: 204, error: '' });
  expect(receiver.received[0]?.headers['x-bjr-signature']).toMatch(/^t=1577836800,v1=[0-9a-f]{64}$/);
});

test('what is said of a receiver that redirects to a name without end fits its column', async () => {
  receiver.answer((response) => response.writeHead(302, { location: `http://${'a.'.repeat(4000)}example/` }).end());
  const { status, error } = await send();
  expect(status).toBe(302);
  expect(error).toMatch(/^It redirects to another host: http:\/\/a\.a\./);
  expect(error.length).toBeLessThanOrEqual(500);
});

test('one that could not be sent because no more files could be opened is no reason for the next not to be', async () => {
  const command = `ulimit -n 256; exec "${process.execPath}" "${FULL}" ${receiver.url}`;
  const { stdout } = await promisify(execFile)('/bin/bash', ['-c', command]);
  expect(JSON.parse(stdout)).toEqual([
    { status: null, error: expect.stringMatching(/^No answer: \w/) },
    { status: 204, error: '' },
  ]);
});
