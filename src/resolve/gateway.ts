import type { Gateway, Server, ServerTls } from '../model/gateway.ts';
import { contentHash } from '../model/hash.ts';
import { parseProtocol } from '../model/protocol.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, originOf, readSpec, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';

/** Annotation that ties a Gateway to Services instead of a selector (Ingress and Gateway API use it). */
const SERVICE_ANNOTATION = 'internal.istio.io/gateway-service';

/** Reads an Istio Gateway; undefined (and issues) when it must be left out. */
export function resolveGateway(context: ResolveContext, object: KubeObject, generated = false): Gateway | undefined {
  const namespace = namespaceOf(object);
  return readSpec(context, object, (spec) => {
    const body = {
      kind: 'gateway' as const,
      name: object.metadata.name, namespace,
      selector: spec.at('selector').stringMap(),
      services: (object.metadata.annotations?.[SERVICE_ANNOTATION] ?? '').split(',').map((text) => text.trim()).filter(Boolean),
      servers: spec.at('servers').items().map((server) => readServer(server, namespace)),
      createdMs: createdMsOf(object), origin: originOf(object), ...(generated && { generated }),
    };
    return { ...body, digest: contentHash(body) };
  });
}

function readServer(server: Cursor, namespace: string): Server {
  const port = server.at('port');
  const number = port.at('number').number();
  if (number === undefined || number < 1 || number > 65535) port.at('number').fail('must be between 1 and 65535');
  const protocol = parseProtocol(port.at('protocol').string());
  if (!protocol) port.at('protocol').fail(`"${port.at('protocol').string()}" is unknown; use HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS`);
  const hosts = server.at('hosts').strings().map((entry) => {
    const slash = entry.indexOf('/');
    const scope = slash < 0 ? '*' : entry.slice(0, slash);
    return { namespace: scope === '.' ? namespace : scope, host: entry.slice(slash + 1).toLowerCase() };
  });
  if (hosts.length === 0) server.at('hosts').fail('needs at least one host');
  const tls = readServerTls(server.at('tls'));
  if ((protocol === 'HTTPS' || protocol === 'TLS') && !tls) server.at('tls').fail(`is required for protocol ${protocol}`);
  return { port: { number: number ?? 0, protocol: protocol ?? 'HTTP', name: port.at('name').string() }, bind: server.at('bind').string(), hosts, tls };
}

const VERSIONS = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'] as const;

export function readServerTls(tls: Cursor): ServerTls | undefined {
  if (!tls.exists) return undefined;
  const version = (name: string) => {
    const value = tls.at(name).oneOf(VERSIONS);
    return value === 'TLS_AUTO' ? undefined : value;
  };
  const single = tls.at('credentialName').string();
  return {
    httpsRedirect: tls.at('httpsRedirect').boolean() ?? false,
    mode: tls.at('mode').oneOf(['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL']) ?? 'PASSTHROUGH',
    serverCertificate: tls.at('serverCertificate').string(), privateKey: tls.at('privateKey').string(), caCertificates: tls.at('caCertificates').string(),
    credentialNames: single ? [single] : tls.at('credentialNames').strings(),
    ...(tls.at('caCertCredentialName').exists && { caCertCredentialName: tls.at('caCertCredentialName').string() }),
    subjectAltNames: tls.at('subjectAltNames').strings(),
    minProtocolVersion: version('minProtocolVersion'), maxProtocolVersion: version('maxProtocolVersion'), cipherSuites: tls.at('cipherSuites').strings(),
    caCrl: tls.at('caCrl').string(), verifyCertificateSpki: tls.at('verifyCertificateSpki').strings(), verifyCertificateHash: tls.at('verifyCertificateHash').strings(),
  };
}
