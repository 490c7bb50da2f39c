import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** A callback's URL names, or resolves to, an address that is not on the public internet. */
export class PrivateTarget extends Error {
  constructor(host: string) {
    super(`${host} is not a public address; CALLBACK_PRIVATE_TARGETS would allow it`);
    this.name = 'PrivateTarget';
  }
}

/** Not loopback, private, link-local, shared, multicast or reserved, nor an IPv6 form of such an IPv4 address. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.range() === 'unicast' && (parsed instanceof ipaddr.IPv4 || parsed.match(IPV6_ASSIGNED, 3));
}

/** All of IPv6 that is given out (RFC 4291, 2.4): `::127.0.0.1` and the like are of no range, and lie outside. */
const IPV6_ASSIGNED = ipaddr.IPv6.parse('2000::');

/** @throws {PrivateTarget} for a URL whose host is such an address; names are for `publicLookup` to look at */
export function requirePublicHost({ hostname }: URL): void {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw new PrivateTarget(host);
}

/**
 * Resolves a name for the very connection that is then made, so that no second answer of a name server can bring in another
 * address. One address that is not public is enough to refuse the name.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const [first] = addresses ?? [];
    if (error || !first) return callback(error, '', 0);
    if (!addresses.every(({ address }) => isPublicAddress(address)))
      return callback(new PrivateTarget(hostname), '', 0);
    if (options.all) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
