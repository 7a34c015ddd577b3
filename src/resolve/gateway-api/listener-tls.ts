/** TLS of a listener → `tls` of an Istio server, with everything it refers to checked. */
import { decodeBase64Text } from '../../base/base64.ts';
import type { Listener, ListenerTls, ObjectReference, SecretReference } from '../../objects/gateway-api/common.ts';
import type { FrontendTls, KubernetesGatewaySpec } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import { joinErrors, type ConfigError } from './condition.ts';
import { hasCertificate, keyPairProblem } from './pem.ts';
import type { World } from './world.ts';

interface DataObject extends KubeObject {
  readonly data?: Readonly<Record<string, unknown>>;
}

/** `spec.servers[].tls` of an Istio Gateway. */
export type ServerTlsSpec = Readonly<Record<string, unknown>>;

export interface BuiltTls {
  readonly tls: ServerTlsSpec | undefined;
  /** The listener's own references or settings. */
  readonly error?: ConfigError | undefined;
  /** References to the authorities of clients: they also take the listener's acceptance away. */
  readonly clientCaError?: ConfigError | undefined;
}

const TERMINATE_MODE = 'gateway.istio.io/tls-terminate-mode';
const CIPHER_SUITES = 'gateway.istio.io/tls-cipher-suites';
const LISTENER_MODE = 'gateway.istio.io/listener-protocol';
const INVALID_CERTIFICATE = 'InvalidCertificateRef';

/** `owner` is the Gateway or ListenerSet whose listener it is; `gatewaySpec` says how clients are checked. */
export function buildListenerTls(world: World, owner: KubeObject, ownerGroupKind: string, gatewaySpec: KubernetesGatewaySpec, listener: Listener): BuiltTls {
  const { tls } = listener;
  if (!tls) return { tls: undefined };
  if (tls.mode === 'Passthrough') return { tls: { mode: isAutoPassthrough(owner, listener) ? 'AUTO_PASSTHROUGH' : 'PASSTHROUGH' } };
  const option = tls.options?.[TERMINATE_MODE];
  if (option === 'ISTIO_SIMPLE') return { tls: { mode: 'SIMPLE', credentialName: 'builtin://' } };
  if (option === 'ISTIO_MUTUAL') return { tls: { mode: 'ISTIO_MUTUAL' } };
  const mode = option === 'MUTUAL' || option === 'OPTIONAL_MUTUAL' ? option : 'SIMPLE';
  const suites = (tls.options?.[CIPHER_SUITES] ?? '').split(',').map((text) => text.trim()).filter(Boolean);
  const base = { mode, ...(suites.length > 0 && { cipherSuites: suites }) };
  const certificates = certificateNames(world, owner, ownerGroupKind, tls);
  if (certificates.error) return { tls: base, error: certificates.error };
  const served = { ...base, ...certificates.fields };
  const validation = frontendTlsOf(gatewaySpec, listener.port)?.validation;
  if (!validation) return { tls: served };
  const authority = clientAuthority(world, owner, ownerGroupKind, validation.caCertificateRefs);
  if ('error' in authority) return { tls: served, clientCaError: authority.error };
  return { tls: { ...served, mode: validation.mode === 'AllowInsecureFallback' ? 'OPTIONAL_MUTUAL' : 'MUTUAL', caCertCredentialName: authority.name } };
}

/** The rule of the port, else the default one. */
export function frontendTlsOf(spec: KubernetesGatewaySpec, port: number): FrontendTls | undefined {
  const frontend = spec.tls?.frontend;
  return frontend?.perPort?.find((entry) => entry.port === port)?.tls ?? frontend?.default;
}

/** Multi-network gateways pass mTLS through by SNI: said by an option, or by the network label and the port. */
function isAutoPassthrough(owner: KubeObject, listener: Listener): boolean {
  if (listener.tls?.options?.[LISTENER_MODE] === 'auto-passthrough') return true;
  const labels = owner.metadata.labels ?? {};
  return labels['topology.istio.io/network'] !== undefined && String(listener.port) === (labels['networking.istio.io/gatewayPort'] ?? '15443');
}

function certificateNames(world: World, owner: KubeObject, ownerGroupKind: string, tls: ListenerTls): { readonly fields: ServerTlsSpec; readonly error?: ConfigError | undefined } {
  const references = tls.certificateRefs ?? [];
  if (references.length > 2) return { fields: {}, error: { reason: INVALID_CERTIFICATE, message: 'TLS mode can only support up to 2 server certificates' } };
  const names: string[] = [];
  let problem: ConfigError | undefined;
  for (const reference of references) {
    const checked = checkCertificate(world, owner, ownerGroupKind, reference);
    if ('error' in checked) problem = joinErrors(problem, checked.error);
    else names.push(checked.name);
  }
  if (names.length === 0) return { fields: {}, error: problem };
  return { fields: names.length === 1 ? { credentialName: names[0] } : { credentialNames: names } };
}

type Checked = { readonly name: string } | { readonly error: ConfigError };

/** A Secret with a key pair that the owner may use. */
export function checkCertificate(world: World, owner: KubeObject, ownerGroupKind: string, reference: SecretReference): Checked {
  const text = referenceText(reference);
  const invalid = (message: string): Checked => ({ error: { reason: INVALID_CERTIFICATE, message } });
  if ((reference.group ?? '') !== '' || (reference.kind ?? 'Secret') !== 'Secret') return invalid(`invalid certificate reference ${text}, only secret is allowed`);
  const namespace = reference.namespace ?? namespaceOf(owner);
  const secret = world.find<DataObject>('/Secret', namespace, reference.name);
  if (!secret) return invalid(`invalid certificate reference ${text}, secret ${namespace}/${reference.name} not found`);
  const certificate = valueOf(secret, ['tls.crt', 'cert']);
  const privateKey = valueOf(secret, ['tls.key', 'key']);
  if (!certificate || !privateKey)
    return invalid(`invalid certificate reference ${text}, found secret, but didn't have expected keys (cert and key) or (tls.crt and tls.key); found: ${Object.keys(secret.data ?? {}).sort().join(', ')}`);
  const problem = keyPairProblem(certificate, privateKey);
  if (problem !== undefined) return invalid(`invalid certificate reference ${text}, the certificate is malformed: ${problem}`);
  if (namespace !== namespaceOf(owner) && !world.grants.allow(ownerGroupKind, namespaceOf(owner), '/Secret', namespace, reference.name))
    return { error: { reason: 'RefNotPermitted', message: `certificateRef ${reference.name}/${namespace} not accessible to a Gateway in namespace "${namespaceOf(owner)}" (missing a ReferenceGrant?)` } };
  return { name: `kubernetes-gateway://${namespace}/${reference.name}` };
}

function clientAuthority(world: World, owner: KubeObject, ownerGroupKind: string, references: readonly ObjectReference[]): Checked {
  const [reference] = references;
  if (!reference || references.length > 1) return { error: { reason: 'InvalidCACertificateRef', message: 'only one caCertificateRef is supported' } };
  const text = referenceText(reference);
  const kind = `${reference.group}/${reference.kind}`;
  if (kind !== '/ConfigMap' && kind !== '/Secret') return { error: { reason: 'InvalidCACertificateKind', message: `invalid CA certificate reference ${text}, only secret and configmap are allowed` } };
  const invalid = (message: string): Checked => ({ error: { reason: 'InvalidCACertificateRef', message: `invalid CA certificate reference ${text}, ${message}` } });
  const namespace = reference.namespace ?? namespaceOf(owner);
  const object = world.find<DataObject>(kind, namespace, reference.name);
  if (!object) return invalid(`${reference.kind.toLowerCase()} ${namespace}/${reference.name} not found`);
  const bundle = rootOf(object);
  if (!bundle) return invalid(rootMissing(object));
  if (!hasCertificate(bundle)) return invalid('the bundle is malformed');
  if (namespace !== namespaceOf(owner) && !world.grants.allow(ownerGroupKind, namespaceOf(owner), kind, namespace, reference.name))
    return { error: { reason: 'RefNotPermitted', message: `caCertificateRef ${namespace}/${reference.name} not accessible to a Gateway in namespace "${namespaceOf(owner)}" (missing a ReferenceGrant?)` } };
  return { name: `${reference.kind === 'ConfigMap' ? 'configmap' : 'kubernetes-gateway'}://${namespace}/${reference.name}` };
}

/** The CA bundle of a ConfigMap or Secret; '' when it has none. */
export function rootOf(object: DataObject): string {
  return valueOf(object, ['ca.crt', 'cacert']);
}

/** The sentence for an object without a CA bundle. */
export function rootMissing(object: DataObject): string {
  return `found ${object.kind.toLowerCase()}, but didn't have expected keys cacert or ca.crt; found: ${Object.keys(object.data ?? {}).sort().join(', ')}`;
}

function valueOf(object: DataObject, keys: readonly string[]): string {
  for (const key of keys) {
    const text = object.data && Object.hasOwn(object.data, key) ? object.data[key] : undefined;
    if (typeof text === 'string' && text !== '') return object.kind === 'Secret' ? decodeBase64Text(text) ?? '' : text;
  }
  return '';
}

function referenceText(reference: SecretReference): string {
  return `${reference.group ?? ''}/${reference.kind ?? ''}/${reference.name}.${reference.namespace ?? ''}`;
}
