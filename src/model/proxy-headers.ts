/** What a ProxyConfig says about the headers a proxy writes; undefined = Istio's defaults. */
export interface ProxyHeaders {
  /** Number of trusted proxies before a gateway. */
  readonly trustedProxies: number;
  readonly forwardClientCert: ForwardClientCert | undefined;
  /** Subject, cert, chain, dns and uri of the client's certificate, where said. */
  readonly clientCertDetails: Readonly<Record<'subject' | 'cert' | 'chain' | 'dns' | 'uri', boolean | undefined>>;
  /** Undefined = as always; '' = the header of the application passes. */
  readonly server: string | undefined;
  readonly requestIdDisabled: boolean;
  readonly preserveHttp1HeaderCase: boolean;
  /** HTTP/1.0 is answered instead of refused (node metadata `HTTP10`). */
  readonly acceptHttp10: boolean;
  /** The gateway's connections begin with a PROXY header. */
  readonly proxyProtocol: boolean;
}

export type ForwardClientCert = (typeof FORWARD_CLIENT_CERT)[number];

const FORWARD_CLIENT_CERT = ['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'] as const;

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads `gatewayTopology` and `proxyHeaders` out of a ProxyConfig (node metadata `PROXY_CONFIG`). What has the wrong type is read as not said: the
 * proxy sends it, its author is told at injection.
 * @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig-ProxyHeaders
 */
export function readProxyHeaders(proxyConfig: unknown, acceptHttp10 = false): ProxyHeaders {
  const config = object(proxyConfig);
  const topology = object(field(config, 'gatewayTopology'));
  const headers = object(field(config, 'proxyHeaders'));
  const details = object(field(headers, 'setCurrentClientCertDetails'));
  const flag = (name: string): boolean | undefined => {
    const value = field(details, name);
    return typeof value === 'boolean' ? value : undefined;
  };
  const server = object(field(headers, 'server'));
  const value = field(server, 'value');
  const hops = Number(field(topology, 'numTrustedProxies') ?? 0);
  return {
    trustedProxies: Number.isInteger(hops) && hops > 0 ? hops : 0,
    forwardClientCert: forwardOf(field(headers, 'forwardedClientCert')) ?? forwardOf(field(topology, 'forwardClientCertDetails')),
    clientCertDetails: { subject: flag('subject'), cert: flag('cert'), chain: flag('chain'), dns: flag('dns'), uri: flag('uri') },
    server: field(server, 'disabled') === true ? '' : typeof value === 'string' && value !== '' ? value : undefined,
    requestIdDisabled: field(object(field(headers, 'requestId')), 'disabled') === true,
    preserveHttp1HeaderCase: field(headers, 'preserveHttp1HeaderCase') === true, acceptHttp10,
    proxyProtocol: field(topology, 'proxyProtocol') !== undefined,
  };
}

function forwardOf(value: unknown): ForwardClientCert | undefined {
  return FORWARD_CLIENT_CERT.find((name) => name === value);
}

function object(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function field(record: Json | undefined, name: string): unknown {
  return record && Object.hasOwn(record, name) ? record[name] : undefined;
}
