import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { FilterChainSchema, type FilterChainMatchSchema } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { matchFilterChain, type ConnectionFacts } from './filter-chain-match.ts';

const chain = (name: string, match?: MessageInitShape<typeof FilterChainMatchSchema>) => create(FilterChainSchema, { name, ...(match && { filterChainMatch: match }) });
const facts = (parts: Partial<ConnectionFacts> = {}): ConnectionFacts => ({ destinationPort: 80, destinationAddress: '10.0.0.1', serverName: '', transportProtocol: 'raw_buffer', applicationProtocols: [], ...parts });
const range = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen });

describe('filter chain choice', () => {
  it.each([
    ['the port before any', [chain('any'), chain('80', { destinationPort: 80 })], facts(), '80'],
    ['the longest prefix', [chain('8', { prefixRanges: [range('10.0.0.0', 8)] }), chain('32', { prefixRanges: [range('10.0.0.1', 32)] }), chain('any')], facts(), '32'],
    ['the exact server name, then ever wider wildcards', [chain('w', { serverNames: ['*.b'] }), chain('ww', { serverNames: ['*.a.b'] })], facts({ serverName: 'x.a.b' }), 'ww'],
    ['TLS by transport', [chain('raw', { transportProtocol: 'raw_buffer' }), chain('tls', { transportProtocol: 'tls' })], facts({ transportProtocol: 'tls' }), 'tls'],
    ['the first offered ALPN that is known', [chain('h2', { applicationProtocols: ['h2'] }), chain('h1', { applicationProtocols: ['http/1.1'] })], facts({ applicationProtocols: ['x', 'http/1.1', 'h2'] }), 'h1'],
    ['no way back from a level: raw_buffer hides the chain that asks for nothing', [chain('http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1'] }), chain('any')], facts(), undefined],
    ['nothing fits', [chain('443', { destinationPort: 443 })], facts(), undefined],
  ] as const)('%s', (_, chains, connection, expected) => expect(matchFilterChain([...chains], connection)?.name).toBe(expected));
});
