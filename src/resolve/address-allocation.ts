import { contentHash } from '../model/hash.ts';
import { isWildcard } from '../model/hostname.ts';
import type { Service } from '../model/service.ts';

/** Hosts in 240.240.0.1 … 240.240.253.254: the last octet is never 0 or 255. */
const SLOTS = 254 * 254;

/**
 * Gives services without an address one of 240.240.0.0/16, so that a proxy with DNS capture can tell their TCP traffic apart. The address follows from the
 * service's key, so it stays the same over restarts; only hosts whose hashes collide depend on each other. Hosts that are wildcards or chosen by the caller
 * (resolution NONE) get none.
 */
export function allocateAddresses(services: readonly Service[]): readonly Service[] {
  const wanting = services.filter((service) => service.registry === 'External' && service.addresses.length === 0 && !isWildcard(service.hostname) && (service.resolution === 'static' || service.resolution === 'dns' || service.resolution === 'dns-round-robin'));
  const taken = new Set(services.flatMap((service) => service.addresses));
  const given = new Map<string, string>();
  for (const service of [...wanting].sort((a, b) => (a.key < b.key ? -1 : 1))) {
    let slot = fnv1a(service.key) % SLOTS;
    for (let tries = 0; tries < SLOTS && taken.has(addressOf(slot)); tries++) slot = (slot + 1) % SLOTS;
    const address = addressOf(slot);
    taken.add(address);
    given.set(service.key, address);
  }
  return services.map((service) => {
    const address = given.get(service.key);
    return address === undefined ? service : { ...service, addresses: [address], autoAllocated: true, digest: contentHash([service.digest, address]) };
  });
}

function addressOf(slot: number): string {
  return `240.240.${Math.floor(slot / 254)}.${(slot % 254) + 1}`;
}

/** @see http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}
