import { create } from '@bufbuild/protobuf';
import { utf8Bytes } from '../base/base64.ts';
import { DataSourceSchema } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import { SecretSchema, type Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import type { ProxyView } from '../model/view.ts';

const CA_SUFFIX = '-cacert';
const CONFIG_MAP = 'configmap://';

/**
 * The credentials a proxy asks for by name (`kubernetes://<secret>`, `kubernetes://<secret>-cacert`, `kubernetes-gateway://<ns>/<secret>`,
 * `configmap://<ns>/<name>-cacert`). Only secrets of the proxy's own namespace are handed out, and those that a Gateway was granted; a name that cannot be
 * served is left out, so that the proxy keeps what it had.
 */
export function translateSecrets(view: ProxyView, names: Iterable<string>, mayListSecrets: () => boolean = () => true): Secret[] {
  return [...names].flatMap((name) => buildSecret(view, name, mayListSecrets) ?? []);
}

function authority(resource: string, ca: string | undefined, crl = ''): Secret | undefined {
  if (!ca) return undefined;
  const trustedCa = create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: utf8Bytes(ca) } });
  const lists = crl === '' ? {} : { crl: create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: utf8Bytes(crl) } }) };
  return create(SecretSchema, { name: resource, type: { case: 'validationContext', value: { trustedCa, ...lists } } });
}

/** A listener of Gateway API may name a secret of another namespace when a ReferenceGrant allows it; only then it was converted. */
function isGranted(view: ProxyView, resource: string): boolean {
  const name = resource.endsWith(CA_SUFFIX) ? resource.slice(0, -CA_SUFFIX.length) : resource;
  const names = view.gateways.filter(({ generated }) => generated).flatMap(({ servers }) => servers.flatMap(({ tls }) => [...(tls?.credentialNames ?? []), tls?.caCertCredentialName]));
  return names.includes(name) || names.includes(resource);
}

function buildSecret(view: ProxyView, resource: string, mayListSecrets: () => boolean): Secret | undefined {
  const match = /^kubernetes(-gateway)?:\/\/(.+)$/.exec(resource);
  if (resource.startsWith(CONFIG_MAP) && resource.endsWith(CA_SUFFIX)) return authority(resource, view.snapshot.secrets.get(resource.slice(0, -CA_SUFFIX.length))?.ca);
  if (!match) return undefined;
  const [namespace, name] = match[2]!.includes('/') ? (match[2]!.split('/', 2) as [string, string]) : [view.proxy.namespace, match[2]!];
  // What a Gateway of Gateway API refers to was checked when it was converted; a plain name is good for whoever may list the secrets of its own namespace.
  if (match[1] === undefined ? namespace !== view.proxy.namespace || !mayListSecrets() : !isGranted(view, resource)) return undefined;
  const find = (wanted: string) => view.snapshot.secrets.get(`${namespace}/${wanted}`);
  const text = (value: string) => create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: utf8Bytes(value) } });
  if (name.endsWith(CA_SUFFIX)) {
    const plain = name.slice(0, -CA_SUFFIX.length);
    // A secret of its own for the CA comes before the CA inside the server's secret.
    const ca = find(name)?.ca || find(name)?.certificate || find(plain)?.ca;
    return authority(resource, ca, find(name)?.crl ?? find(plain)?.crl);
  }
  const secret = find(name);
  if (!secret?.certificate || !secret.privateKey) return undefined;
  return create(SecretSchema, { name: resource, type: { case: 'tlsCertificate', value: { certificateChain: text(secret.certificate), privateKey: text(secret.privateKey) } } });
}
