import type { FilterChainRuntime, IpPrefix, ListenerRuntime } from '../config/runtime.ts';
import { inPrefix, parseIp } from './ip.ts';

/** What is known of a connection when its chain is chosen. */
export interface ChainInput {
  readonly destinationIp: string;
  readonly destinationPort: number;
  /** Lower case, '' when there is none. */
  readonly serverName: string;
  readonly transportProtocol: 'tls' | 'raw_buffer' | '';
  /** Offered by the client, in its order. */
  readonly alpn: readonly string[];
  readonly sourceIp: string;
  readonly sourcePort: number;
}

interface Candidate {
  readonly chain: FilterChainRuntime;
  readonly destination: readonly ParsedPrefix[];
  readonly source: readonly ParsedPrefix[];
}

interface ParsedPrefix {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** A value of the connection narrows the candidates to the most specific ones that fit; [] ends the search. */
type Step = (candidates: readonly Candidate[], input: ChainInput) => readonly Candidate[];

/**
 * Envoy's precedence, top to bottom. Each step keeps only the most specific group that fits and never comes back to a less specific one, even when a later
 * step finds nothing in it.
 * @see envoy.config.listener.v3.FilterChainMatch
 */
const STEPS: readonly Step[] = [
  (candidates, { destinationPort }) => specific(candidates, ({ chain }) => chain.match.destinationPort === destinationPort, ({ chain }) => chain.match.destinationPort === undefined),
  (candidates, { destinationIp }) => longestPrefix(candidates, destinationIp, (candidate) => candidate.destination),
  byServerName,
  (candidates, { transportProtocol }) => specific(candidates, ({ chain }) => transportProtocol !== '' && chain.match.transportProtocol === transportProtocol, ({ chain }) => chain.match.transportProtocol === ''),
  byAlpn,
  bySourceType,
  (candidates, { sourceIp }) => longestPrefix(candidates, sourceIp, (candidate) => candidate.source),
  (candidates, { sourcePort }) => specific(candidates, ({ chain }) => chain.match.sourcePorts.includes(sourcePort), ({ chain }) => chain.match.sourcePorts.length === 0),
];

/** The chain choice of one listener. */
export class ChainMatcher {
  private readonly candidates: readonly Candidate[];

  constructor(private readonly listener: ListenerRuntime) {
    this.candidates = listener.filterChains.map((chain) => ({ chain, destination: parsed(chain.match.prefixRanges), source: parsed(chain.match.sourcePrefixRanges) }));
  }

  /** The chain for a connection: the best match, else the default chain, else undefined. */
  match(input: ChainInput): FilterChainRuntime | undefined {
    let candidates = this.candidates;
    for (const step of STEPS) {
      candidates = step(candidates, input);
      if (candidates.length === 0) return this.listener.defaultFilterChain;
    }
    return candidates[0]!.chain;
  }
}

function parsed(ranges: readonly IpPrefix[]): readonly ParsedPrefix[] {
  return ranges.flatMap(({ address, prefixLength }) => {
    const bytes = parseIp(address);
    return bytes === undefined ? [] : [{ bytes, length: prefixLength }];
  });
}

function specific(candidates: readonly Candidate[], fits: (candidate: Candidate) => boolean, any: (candidate: Candidate) => boolean): readonly Candidate[] {
  const exact = candidates.filter(fits);
  return exact.length > 0 ? exact : candidates.filter(any);
}

function longestPrefix(candidates: readonly Candidate[], ip: string, prefixes: (candidate: Candidate) => readonly ParsedPrefix[]): readonly Candidate[] {
  if (candidates.every((candidate) => prefixes(candidate).length === 0)) return candidates;
  const address = parseIp(ip);
  let best = -1;
  let found: Candidate[] = [];
  for (const candidate of candidates) {
    for (const { bytes, length } of prefixes(candidate)) {
      if (address === undefined || length < best || !inPrefix(address, bytes, length)) continue;
      if (length > best) found = [];
      best = length;
      if (!found.includes(candidate)) found.push(candidate);
    }
  }
  return best >= 0 ? found : candidates.filter((candidate) => prefixes(candidate).length === 0);
}

/** Exact name, then `*.b.c`, `*.c`, then chains without names. */
function byServerName(candidates: readonly Candidate[], { serverName }: ChainInput): readonly Candidate[] {
  if (serverName !== '') {
    const exact = candidates.filter(({ chain }) => chain.match.serverNames.includes(serverName));
    if (exact.length > 0) return exact;
    for (let dot = serverName.indexOf('.'); dot >= 0; dot = serverName.indexOf('.', dot + 1)) {
      const suffix = `*${serverName.slice(dot)}`;
      const wildcard = candidates.filter(({ chain }) => chain.match.serverNames.includes(suffix));
      if (wildcard.length > 0) return wildcard;
    }
  }
  return candidates.filter(({ chain }) => chain.match.serverNames.length === 0);
}

function byAlpn(candidates: readonly Candidate[], { alpn }: ChainInput): readonly Candidate[] {
  for (const name of alpn) {
    const fitting = candidates.filter(({ chain }) => chain.match.applicationProtocols.includes(name));
    if (fitting.length > 0) return fitting;
  }
  return candidates.filter(({ chain }) => chain.match.applicationProtocols.length === 0);
}

function bySourceType(candidates: readonly Candidate[], { sourceIp, destinationIp }: ChainInput): readonly Candidate[] {
  const local = sourceIp === destinationIp || sourceIp === '::1' || sourceIp.startsWith('127.');
  return specific(candidates, ({ chain }) => chain.match.sourceType === (local ? 'same-ip-or-loopback' : 'external'), ({ chain }) => chain.match.sourceType === 'any');
}
