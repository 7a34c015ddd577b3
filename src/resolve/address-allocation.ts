import { contentHash } from '../model/hash.ts';
import { isWildcard } from '../model/hostname.ts';
import type { Service } from '../model/service.ts';

/** Places of 240.240.0.0/16 that are given out, and the step size's modulus: those of Istio, so that a host has the same address under both. */
const SLOTS = 65_024;
const STEP_PRIME = 65_011;

/**
 * Gives services without an address one of 240.240.0.0/16, so that a proxy with DNS capture can tell their TCP traffic apart. The address follows from the
 * service's key (and only in a collision from other keys), so it stays over restarts. `claims`: how many ServiceEntries declare the same host in the same
 * namespace; all get one address. Wildcards and hosts whose address the caller chooses (resolution NONE) get none. `services` must be oldest first.
 */
export function allocateAddresses(services: readonly Service[], claims: ReadonlyMap<string, number>): readonly Service[] {
  const slots = new Map<number, string>();
  for (const service of services) if (wantsAddress(service)) for (let claim = claims.get(service.key) ?? 1; claim > 0; claim--) takeSlot(slots, service.key);
  const given = new Map<string, string>();
  let skipped = 0;
  for (const [slot, key] of [...slots].sort(([a], [b]) => a - b)) {
    // No address ends in 0.
    if ((slot + 1 + skipped) % 255 === 0) skipped++;
    const place = slot + 1 + skipped;
    if (!given.has(key)) given.set(key, `240.240.${Math.floor(place / 255)}.${place % 255}`);
  }
  return services.map((service) => {
    const address = given.get(service.key);
    return address === undefined ? service : { ...service, addresses: [address], autoAllocated: true, digest: contentHash([service.digest, address]) };
  });
}

function wantsAddress(service: Service): boolean {
  return service.registry === 'External' && service.addresses.length === 0 && !isWildcard(service.hostname)
    && (service.resolution === 'static' || service.resolution === 'dns' || service.resolution === 'dns-round-robin');
}

/** Double hashing: the key's own place, else ever further by a step that the key decides. Full = the service stays without an address. */
function takeSlot(slots: Map<number, string>, key: string): void {
  const hash = fnv1a(key);
  let slot = hash % SLOTS;
  const step = STEP_PRIME - (hash % STEP_PRIME);
  for (let tries = 1; slots.has(slot); tries++) {
    if (tries > SLOTS) return;
    slot = ((hash + tries * step) % 2 ** 32) % (SLOTS - 1);
  }
  slots.set(slot, key);
}

/** @see http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}
