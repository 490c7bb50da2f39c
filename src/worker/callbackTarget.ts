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
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast';
}

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
