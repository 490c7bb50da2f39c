import { expect, test } from 'vitest';
import { isPublicAddress, PrivateTarget, requirePublicHost } from '../../src/worker/callbackTarget.ts';

test.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  ...['127.0.0.1', '0.0.0.0', '10.0.0.1', '100.64.0.1', '169.254.169.254', '192.0.0.192', '198.18.0.1', '240.0.0.1'],
  ...['::', '::1', '::ffff:127.0.0.1', 'fe80::1', 'fec0::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1'],
  // IPv4 within IPv6: compatible, translated, tunnelled.
  ...['::7f00:1', '::a9fe:a9fe', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1', '2002:7f00:1::', '2001:0:7f00:1::'],
  // Assigned to nobody.
  ...['4000::1', '1::1', 'no address'],
])('%s is not', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each(['127.1', '0x7f.1', '2130706433', '0177.0.0.1', '127.0.0.1.', '[::127.0.0.1]', '[::ffff:7f00:1]'])(
  'a URL that spells one as %s is refused',
  (host) => {
    expect(() => requirePublicHost(new URL(`http://${host}/`))).toThrow(PrivateTarget);
  },
);
