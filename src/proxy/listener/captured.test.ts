import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeProxyHeader } from '../router/proxy-header.ts';

/** Connections of a loopback pod: the variable is read once, when the module is loaded. */
let close: () => unknown;
let outbound: number;
let inbound: number;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

beforeAll(async () => {
  vi.stubEnv('MELTEMI_POD_NETWORK', '/pod/network.json');
  vi.resetModules();
  const { hcmFilter, listenerOf, startStatic } = await import('../testing/proxy-harness.ts');
  const says = (body: string) => [{ filters: [hcmFilter([{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: body } } }])] }];
  outbound = await freePort();
  const at = (address: string, portValue: number) => ({ address: { socketAddress: { address, portValue } } });
  const harness = await startStatic({
    clusters: [],
    listeners: [
      listenerOf('virtualOutbound', says('passthrough'), { ...at('127.0.0.1', outbound), useOriginalDst: true }),
      listenerOf('service', says('service'), { ...at('127.66.4.4', 9080), bindToPort: false }),
      listenerOf('virtualInbound', says('inbound'), { listenerFilters: [{ name: 'envoy.filters.listener.original_dst', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst' } }] }),
    ],
  });
  inbound = harness.port('virtualInbound');
  close = () => harness.close();
});
afterAll(async () => {
  await close();
  vi.unstubAllEnvs();
  vi.resetModules();
});

const request = Buffer.from('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
const header = (destinationAddress: string, destinationPort: number) => encodeProxyHeader('V2', { sourceAddress: '127.64.0.5', sourcePort: 4711, destinationAddress, destinationPort });

/** Sends the pieces one after the other; resolves with everything that came back. */
function talk(port: number, ...pieces: readonly Buffer[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let read = '';
    socket.on('data', (data) => void (read += data.toString('latin1'))).on('close', () => resolve(read)).on('error', () => {});
    void (async () => {
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((next) => setTimeout(next, 20));
      }
    })();
  });
}

describe('a captured connection', () => {
  it('goes to the listener of the destination that its header names', async () => expect(await talk(outbound, Buffer.concat([header('127.66.4.4', 9080), request]))).toMatch(/200 OK[^]*service$/));
  it('passes through where no listener has the destination', async () => expect(await talk(outbound, Buffer.concat([header('93.184.216.34', 80), request]))).toMatch(/200 OK[^]*passthrough$/));
  it('may say so in pieces', async () => {
    const bytes = header('127.66.4.4', 9080);
    expect(await talk(outbound, bytes.subarray(0, 7), bytes.subarray(7, 20), Buffer.concat([bytes.subarray(20), request.subarray(0, 4)]), request.subarray(4))).toMatch(/200 OK[^]*service$/);
  });
  it('is closed when it says nothing of the kind', async () => {
    expect(await talk(outbound, request)).toBe('');
    expect(await talk(outbound, encodeProxyHeader('V2', undefined), request)).toBe('');
  });
});

describe('a connection at another port of the pod', () => {
  it('needs no header: its own address is the destination', async () => expect(await talk(inbound, request)).toMatch(/200 OK[^]*inbound$/));
});
