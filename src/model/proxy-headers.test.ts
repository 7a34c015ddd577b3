import { expect, it } from 'vitest';
import { readProxyHeaders } from './proxy-headers.ts';

it.each([
  ['nothing', undefined, { trustedProxies: 0, forwardClientCert: undefined, server: undefined, proxyProtocol: false }],
  ['topology', { gatewayTopology: { numTrustedProxies: 2, forwardClientCertDetails: 'FORWARD_ONLY', proxyProtocol: {} } }, { trustedProxies: 2, forwardClientCert: 'FORWARD_ONLY', proxyProtocol: true }],
  ['headers win over topology', { gatewayTopology: { forwardClientCertDetails: 'SANITIZE' }, proxyHeaders: { forwardedClientCert: 'SANITIZE_SET', server: { disabled: true } } }, { forwardClientCert: 'SANITIZE_SET', server: '' }],
  ['names and flags', { proxyHeaders: { server: { value: 'web' }, requestId: { disabled: true }, preserveHttp1HeaderCase: true, setCurrentClientCertDetails: { cert: true, dns: false } } },
    { server: 'web', requestIdDisabled: true, preserveHttp1HeaderCase: true, clientCertDetails: { subject: undefined, cert: true, chain: undefined, dns: false, uri: undefined } }],
  ['wrong types', { gatewayTopology: [1], proxyHeaders: { server: 3, forwardedClientCert: 'x' } }, { trustedProxies: 0, forwardClientCert: undefined, server: undefined }],
])('%s', (_, config, expected) => expect(readProxyHeaders(config)).toMatchObject(expected));
