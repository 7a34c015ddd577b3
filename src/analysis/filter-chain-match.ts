import type { FilterChain, FilterChainMatch } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { addressBits, isIpv4 } from '../model/hostname.ts';

/** What is known of a connection when its filter chain is chosen. */
export interface ConnectionFacts {
  readonly destinationPort: number;
  readonly destinationAddress: string;
  /** '' when none was seen. */
  readonly serverName: string;
  readonly transportProtocol: 'tls' | 'raw_buffer';
  readonly applicationProtocols: readonly string[];
}

/**
 * Envoy's choice: level by level the most specific value that fits, and no way back from it. Undefined when none fits (the default chain is the caller's).
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/listener/v3/listener_components.proto#config-listener-v3-filterchainmatch
 */
export function matchFilterChain(chains: readonly FilterChain[], facts: ConnectionFacts): FilterChain | undefined {
  let left = narrow(chains, (match) => match?.destinationPort, [facts.destinationPort]);
  left = narrowByAddress(left, facts.destinationAddress);
  left = narrowByName(left, facts.serverName.toLowerCase());
  left = narrow(left, (match) => match?.transportProtocol || undefined, [facts.transportProtocol]);
  return narrowByProtocol(left, facts.applicationProtocols)[0];
}

function narrow<T>(chains: readonly FilterChain[], read: (match: FilterChainMatch | undefined) => T | undefined, wanted: readonly T[]): readonly FilterChain[] {
  const exact = chains.filter((chain) => wanted.includes(read(chain.filterChainMatch) as T) && read(chain.filterChainMatch) !== undefined);
  return exact.length > 0 ? exact : chains.filter((chain) => read(chain.filterChainMatch) === undefined);
}

function narrowByAddress(chains: readonly FilterChain[], address: string): readonly FilterChain[] {
  const lengths = chains.map((chain) => bestPrefix(chain, address));
  const longest = Math.max(-1, ...lengths.map((length) => length ?? -1));
  if (longest >= 0) return chains.filter((_, index) => lengths[index] === longest);
  return chains.filter((chain) => (chain.filterChainMatch?.prefixRanges.length ?? 0) === 0);
}

function bestPrefix(chain: FilterChain, address: string): number | undefined {
  const bits = addressBits(address);
  const width = isIpv4(address) ? 32 : 128;
  const hits = (chain.filterChainMatch?.prefixRanges ?? []).flatMap((range) => {
    const prefix = range.prefixLen ?? 0;
    const network = addressBits(range.addressPrefix);
    if (bits === undefined || network === undefined || isIpv4(range.addressPrefix) !== isIpv4(address)) return [];
    const shift = BigInt(width - prefix);
    return bits >> shift === network >> shift ? [prefix] : [];
  });
  return hits.length > 0 ? Math.max(...hits) : undefined;
}

/** The exact name, then `*.` of ever shorter suffixes, then chains that ask for none. */
function narrowByName(chains: readonly FilterChain[], name: string): readonly FilterChain[] {
  const candidates = [name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) candidates.push(`*${name.slice(dot)}`);
  for (const candidate of name ? candidates : []) {
    const hits = chains.filter((chain) => chain.filterChainMatch?.serverNames.includes(candidate));
    if (hits.length > 0) return hits;
  }
  return chains.filter((chain) => (chain.filterChainMatch?.serverNames.length ?? 0) === 0);
}

function narrowByProtocol(chains: readonly FilterChain[], protocols: readonly string[]): readonly FilterChain[] {
  for (const protocol of protocols) {
    const hits = chains.filter((chain) => chain.filterChainMatch?.applicationProtocols.includes(protocol));
    if (hits.length > 0) return hits;
  }
  return chains.filter((chain) => (chain.filterChainMatch?.applicationProtocols.length ?? 0) === 0);
}
