import { describe, expect, it } from 'vitest';
import { listenerProtocolOf, selectProtocol } from './protocol.ts';

describe('protocol selection', () => {
  it.each([
    [{ number: 80, name: 'http' }, 'HTTP'], [{ number: 80, name: 'http-web' }, 'HTTP'], [{ number: 80, name: 'HTTP2-x' }, 'HTTP2'], [{ number: 80, name: 'grpc-web' }, 'GRPC-Web'],
    [{ number: 80, name: 'grpc-web-x' }, 'GRPC-Web'], [{ number: 80, name: 'grpc-x' }, 'GRPC'], [{ number: 80, name: 'https-x' }, 'HTTPS'], [{ number: 80, name: 'web' }, 'Auto'],
    [{ number: 80, name: 'httpfoo' }, 'Auto'], [{ number: 3306, name: 'web' }, 'TCP'], [{ number: 3306, name: 'mysql' }, 'MySQL'], [{ number: 27017 }, 'TCP'], [{ number: 80 }, 'Auto'],
    [{ number: 80, name: 'http', appProtocol: 'tcp' }, 'TCP'], [{ number: 80, name: 'x', appProtocol: 'kubernetes.io/h2c' }, 'HTTP2'], [{ number: 80, name: 'x', appProtocol: 'kubernetes.io/wss' }, 'HTTPS'],
    [{ number: 80, name: 'http', appProtocol: 'acme.example/x' }, 'HTTP'], [{ number: 53, name: 'dns', transport: 'UDP' }, 'UDP'],
  ] as const)('%j → %s', (port, expected) => expect(selectProtocol(port)).toBe(expected));
  it.each([['HTTP', 'http'], ['GRPC', 'http'], ['Auto', 'auto'], ['TLS', 'tcp'], ['HTTPS', 'tcp'], ['Mongo', 'tcp']] as const)('%s is listened to as %s', (protocol, expected) => expect(listenerProtocolOf(protocol)).toBe(expected));
});
