import { connect as tlsConnect } from 'node:tls';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ChainMatch, FilterChainRuntime, ListenerRuntime } from '../config/runtime.ts';
import { ChainMatcher } from './chain-match.ts';
import type { ChainInput } from './chain-match.ts';
import { parseClientHello } from './client-hello.ts';
import { inspectHttp } from './http-inspector.ts';
import { inPrefix, parseIp } from './ip.ts';

const ANY: ChainMatch = { destinationPort: undefined, prefixRanges: [], serverNames: [], transportProtocol: '', applicationProtocols: [], sourceType: 'any', sourcePrefixRanges: [], sourcePorts: [] };
const chain = (name: string, match: Partial<ChainMatch>): FilterChainRuntime => ({ name, match: { ...ANY, ...match }, tls: undefined, transportSocketConnectTimeoutMs: 0, network: { kind: 'tcp', statPrefix: '', direction: 'inbound', clusters: [], totalWeight: 0, tunnel: undefined, idleTimeoutMs: 0, maxConnectAttempts: 1, hashSourceIp: false, progress: undefined, record: () => {} } });
const listener = (filterChains: readonly FilterChainRuntime[], defaultFilterChain?: FilterChainRuntime): ListenerRuntime => ({
  name: 'l', address: '0.0.0.0', port: 1, additionalAddresses: [], bindToPort: true, useOriginalDst: false, handOffRestoredDestination: false, trafficDirection: 'inbound', tlsInspector: undefined, httpInspector: undefined,
  proxyProtocol: undefined, listenerFiltersTimeoutMs: 0, continueOnListenerFiltersTimeout: false, filterChains, defaultFilterChain, record: () => {},
});
const INPUT: ChainInput = { destinationIp: '10.0.0.1', destinationPort: 80, serverName: '', transportProtocol: 'raw_buffer', alpn: [], sourceIp: '10.0.0.9', sourcePort: 4000 };

describe('ChainMatcher', () => {
  const tls = { transportProtocol: 'tls' };
  const istio = [
    chain('blackhole', { destinationPort: 15006 }),
    chain('passthrough-mtls-http', { ...tls, applicationProtocols: ['istio-http/1.1', 'istio-h2'] }),
    chain('passthrough-mtls', { ...tls, applicationProtocols: ['istio', 'istio-peer-exchange'] }),
    chain('passthrough-http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] }),
    chain('passthrough-tls', tls),
    chain('passthrough-tcp', { transportProtocol: 'raw_buffer' }),
    chain('80-mtls', { destinationPort: 80, ...tls, applicationProtocols: ['istio', 'istio-http/1.1'] }),
    chain('80-plain', { destinationPort: 80, transportProtocol: 'raw_buffer' }),
    chain('v6', { prefixRanges: [{ address: '::', prefixLength: 0 }], destinationPort: 90 }),
  ];
  it.each([
    ['the port wins over everything', { transportProtocol: 'tls', alpn: ['istio-http/1.1', 'istio'] }, '80-mtls'],
    ['plaintext on a known port', {}, '80-plain'],
    ['no way back once the port matched', { transportProtocol: 'tls', alpn: ['h2'] }, undefined],
    ['another port: HTTP by inspection', { destinationPort: 8080, alpn: ['http/1.1'] }, 'passthrough-http'],
    ['another port: TCP', { destinationPort: 8080 }, 'passthrough-tcp'],
    ['another port: mTLS HTTP', { destinationPort: 8080, transportProtocol: 'tls', alpn: ['istio-http/1.1', 'istio'] }, 'passthrough-mtls-http'],
    ['the client order of ALPNs counts', { destinationPort: 8080, transportProtocol: 'tls', alpn: ['istio', 'istio-h2'] }, 'passthrough-mtls'],
    ['foreign TLS', { destinationPort: 8080, transportProtocol: 'tls', alpn: ['h2'] }, 'passthrough-tls'],
    ['the listener itself', { destinationPort: 15006 }, 'blackhole'],
    ['IPv6 prefix', { destinationPort: 90, destinationIp: 'fd00::1' }, 'v6'],
    ['IPv6 prefix is not for IPv4', { destinationPort: 90 }, undefined],
  ] as const)('%s', (_name, input, expected) => {
    expect(new ChainMatcher(listener(istio)).match({ ...INPUT, ...input })?.name).toBe(expected);
  });

  it.each([
    ['a.b.example.com', 'exact'], ['x.b.example.com', 'b'], ['x.example.com', 'top'], ['example.com', 'default'], ['other.org', 'default'], ['', 'default'],
  ])('SNI %s → %s', (serverName, expected) => {
    const chains = [chain('exact', { serverNames: ['a.b.example.com'] }), chain('b', { serverNames: ['*.b.example.com'] }), chain('top', { serverNames: ['*.example.com'] })];
    expect(new ChainMatcher(listener(chains, chain('default', {}))).match({ ...INPUT, serverName })?.name).toBe(expected);
  });

  it('takes the longest prefix, then the source', () => {
    const chains = [
      chain('wide', { prefixRanges: [{ address: '10.0.0.0', prefixLength: 8 }] }), chain('narrow', { prefixRanges: [{ address: '10.0.0.0', prefixLength: 24 }], sourcePrefixRanges: [{ address: '10.0.0.8', prefixLength: 29 }] }),
      chain('narrow-other', { prefixRanges: [{ address: '10.0.0.0', prefixLength: 24 }] }), chain('local', { prefixRanges: [{ address: '10.0.0.0', prefixLength: 24 }], sourceType: 'same-ip-or-loopback' }),
    ];
    const match = (input: Partial<ChainInput>) => new ChainMatcher(listener(chains)).match({ ...INPUT, ...input })?.name;
    expect(match({})).toBe('narrow');
    expect(match({ sourceIp: '10.0.0.1' })).toBe('local');
    expect(match({ sourceIp: '172.16.0.1' })).toBe('narrow-other');
    expect(match({ destinationIp: '10.9.9.9' })).toBe('wide');
    expect(match({ destinationIp: '11.0.0.1' })).toBeUndefined();
  });
});

describe('parseClientHello', () => {
  /** The first bytes a real client sends. */
  function hello(options: { servername?: string; ALPNProtocols?: string[] }): Promise<Buffer> {
    return new Promise((resolve) => {
      const socket = new Duplex({ read() {}, write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      } });
      tlsConnect({ socket, rejectUnauthorized: false, ...options }).on('error', () => {});
    });
  }

  it('reads SNI and ALPN at any split', async () => {
    const bytes = await hello({ servername: 'Outbound_.80_._.Web', ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'] });
    expect(parseClientHello(bytes)).toEqual({ serverName: 'outbound_.80_._.web', alpn: ['istio-http/1.1', 'istio', 'http/1.1'] });
    for (let cut = 0; cut < bytes.length; cut++) expect(parseClientHello(bytes.subarray(0, cut)), `cut at ${cut}`).toBe('partial');
    expect(parseClientHello(await hello({}))).toEqual({ serverName: '', alpn: [] });
  });

  it('takes nothing else for TLS and survives damage', async () => {
    for (const text of ['GET / HTTP/1.1\r\n', 'SSH-2.0-x\r\n', '\x00', '\x17\x03\x03\x00\x01x', '\x16\x02', '\x16\x03\x01\x00\x00']) expect(parseClientHello(Buffer.from(text, 'latin1')), JSON.stringify(text)).toBe('none');
    const bytes = await hello({ servername: 'a.b', ALPNProtocols: ['h2'] });
    for (let at = 0; at < bytes.length; at++) for (const byte of [0, 1, 0x7f, 0xff]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = byte;
      parseClientHello(damaged);
    }
  });
});

describe('inspectHttp', () => {
  it.each([
    ['GET / HTTP/1.1\r\n', 'http/1.1'], ['POST /x HTTP/1.0\r\n', 'http/1.0'], ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'h2c'], ['PRI * HT', 'partial'], ['GE', 'partial'], ['GET /long', 'partial'], ['GET / HTTP/1', 'partial'],
    ['', 'partial'], ['\x01\x02', 'none'], ['*1\r\n$4\r\nPING\r\n', 'none'], ['GET / RTSP/1.0\r\n', 'none'], ['GET / HTTP/3.1\r\n', 'none'], ['SSH-2.0-OpenSSH\r\n', 'none'], ['A'.repeat(40), 'none'],
  ])('%j → %s', (text, expected) => {
    expect(inspectHttp(Buffer.from(text, 'latin1'))).toBe(expected);
  });
});

describe('addresses', () => {
  it.each([['10.0.0.1', '10.0.0.0', 8, true], ['11.0.0.1', '10.0.0.0', 8, false], ['fd00::1', 'fd00::', 16, true], ['fd01::1', 'fd00::', 16, false], ['10.0.0.1', '::', 0, false], ['::ffff:10.0.0.1', '::ffff:0:0', 96, true], ['1.2.3.4', '1.2.3.5', 31, true], ['1.2.3.4', '1.2.3.6', 31, false], ['1.2.3.4', '1.2.3.4', 32, true]])('%s in %s/%i: %s', (address, prefix, length, expected) => {
    expect(inPrefix(parseIp(address)!, parseIp(prefix)!, length)).toBe(expected);
  });
  it.each(['', '1.2.3', '1.2.3.256', 'a.b.c.d', '1::2::3', ':::', 'g::', '1:2:3:4:5:6:7:8:9'])('%j is no address', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });
});
