/**
 * Listeners of a Gateway and its ListenerSets that want the same place: the Gateway's come first, then the sets by age. Who loses is not programmed and
 * blocks nobody.
 * @see https://gateway-api.sigs.k8s.io/geps/gep-1713/#listener-precedence
 */
import type { Listener } from '../../objects/gateway-api/common.ts';

export type ConflictReason = 'ProtocolConflict' | 'HostnameConflict';

/** Listeners in order of precedence → why each of them loses; undefined when it does not. */
export function listenerConflicts(listeners: readonly Listener[]): readonly (ConflictReason | undefined)[] {
  const winners: Listener[] = [];
  return listeners.map((listener) => {
    const rival = winners.find((winner) => !areDistinct(listener, winner));
    if (!rival) {
      winners.push(listener);
      return undefined;
    }
    return isL4(listener) && isL4(rival) ? 'ProtocolConflict' : listener.protocol === rival.protocol ? 'HostnameConflict' : 'ProtocolConflict';
  });
}

function isL4({ protocol }: Listener): boolean {
  return protocol === 'TCP' || protocol === 'UDP';
}

function hasHostname({ protocol }: Listener): boolean {
  return protocol === 'HTTP' || protocol === 'HTTPS' || protocol === 'TLS';
}

function areDistinct(a: Listener, b: Listener): boolean {
  if (a.port !== b.port) return true;
  if (isL4(a) && (isL4(b) || hasHostname(b))) return false;
  if (hasHostname(a) && isL4(b)) return false;
  if (hasHostname(a) && hasHostname(b)) return (a.hostname || '*') !== (b.hostname || '*');
  return a.protocol !== b.protocol;
}
