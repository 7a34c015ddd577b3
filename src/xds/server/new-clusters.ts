/**
 * Make before break: what may point at a new cluster (listeners, routes) waits until the client has that cluster's endpoints. Until then Envoy keeps the cluster warm and
 * answers 503 NC to whom a route sends there, and our proxy has no host for it. Pure.
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 */
import type { EncodedResource } from '../ads.ts';
import type { TypeSubscription } from './type-subscription.ts';

/** Cluster responses that listeners and routes wait for, one after another: under endless changes they must come through too. */
const MAX_RESPONSES = 5;

/** The clusters of one stream that were sent and have no endpoints yet. */
export class NewClusters {
  private readonly names = new Set<string>();
  private responses = 0;

  /** Notes what a cluster response brings. */
  sent(added: readonly EncodedResource[]): void {
    for (const resource of added) if (takesEndpoints(resource.value)) this.names.add(resource.name);
    if (this.names.size > 0) this.responses++;
  }

  /** Whether something that is there already must wait. `clusters` and `endpoints`: the client's subscriptions, with everything sent that is due. */
  block(clusters: TypeSubscription | undefined, endpoints: TypeSubscription | undefined): boolean {
    if (this.names.size === 0) return false;
    if (endpoints?.awaiting !== undefined) return this.responses <= MAX_RESPONSES;
    // Clients name the endpoints of a cluster before they answer for it; what has been named is sent and answered by now.
    if (clusters?.awaiting === undefined) this.names.clear();
    else for (const name of this.names) if (endpoints?.names.has(name)) this.names.delete(name);
    if (this.names.size === 0) this.responses = 0;
    return this.names.size > 0 && this.responses <= MAX_RESPONSES;
  }
}

const TYPE_FIELD = 2;
const TYPE_EDS = 3;

/** Whether these bytes of a Cluster have the discovery type EDS; reads as far as that field. */
export function takesEndpoints(bytes: Uint8Array): boolean {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; at < bytes.length; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) {
      const value = varint();
      if (field === TYPE_FIELD) return value === TYPE_EDS;
    } else if (wire === 2) {
      const length = varint();
      at += length;
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    else return false;
  }
  return false;
}
