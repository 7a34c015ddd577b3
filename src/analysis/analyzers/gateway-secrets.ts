/** Credentials of gateways: missing, or no usable pair of certificate and key. */
import { decodeBase64 } from '../../base/base64.ts';
import type { Issue } from '../../base/issue.ts';
import type { Gateway } from '../../objects/istio/gateway.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Secret } from '../../objects/kubernetes/secret.ts';
import { resolveSecret } from '../../resolve/secret.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels } from '../selector.ts';
import { missingSelector } from './gateway-servers.ts';

export function analyzeGatewaySecrets(set: ObjectSet): readonly Issue[] {
  if (!set.knowsPods) return [];
  return set.of<Gateway>('Gateway', 'networking.istio.io').flatMap((gateway) => {
    // Secrets are read where the gateway runs, not where its Gateway stands.
    const pod = set.of<Pod>('Pod').find(({ metadata }) => hasLabels(metadata.labels, gateway.spec.selector));
    if (!pod) return [missingSelector(gateway)];
    return (gateway.spec.servers ?? []).flatMap(({ tls }, index) => checkCredential(set, gateway, pod.metadata.namespace ?? '', tls?.credentialName ?? '', `spec.servers[${index}].tls.credentialName`));
  });
}

function checkCredential(set: ObjectSet, gateway: Gateway, podNamespace: string, credential: string, path: string): readonly Issue[] {
  if (credential === '') return [];
  const [namespace, name] = credential.includes('/') ? (credential.split('/', 2) as [string, string]) : [podNamespace, credential];
  const secret = set.of<Secret>('Secret').find(({ metadata }) => metadata.name === name && (metadata.namespace ?? '') === namespace);
  if (!secret) return [message('IST0101', gateway, path, ['credentialName', credential], `kubectl create secret tls ${name} -n ${namespace} --cert=… --key=…`)];
  if (isPair(secret)) return [];
  return [message('IST0161', gateway, path, [gateway.metadata.name, gateway.metadata.namespace ?? ''], `let Secret ${namespace}/${name} hold a certificate and its key as tls.crt and tls.key`)];
}

function isPair(secret: Secret): boolean {
  const found = resolveSecret(secret);
  const certificate = der(found?.certificate ?? '', 'CERTIFICATE');
  const key = der(found?.privateKey ?? '', '(?:RSA |EC )?PRIVATE KEY');
  if (!certificate || !key) return false;
  const shared = publicPart(key);
  return shared === undefined || hex(certificate).includes(shared);
}

/** The bytes of the first PEM block of a kind. */
function der(pem: string, label: string): Uint8Array | undefined {
  const body = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem)?.[1];
  const bytes = body === undefined ? undefined : decodeBase64(body);
  return bytes?.[0] === 0x30 ? bytes : undefined;
}

/**
 * What a private key shares with its certificate, as hex: the modulus of RSA, the point of EC. Undefined when the key does not say (then nothing can be
 * compared without cryptography).
 */
function publicPart(key: Uint8Array): string | undefined {
  const text = hex(key);
  // An RSA modulus: the first INTEGER of 128 bytes or more. Lengths: 0281xx (one byte) or 0282xxxx (two).
  const rsa = /0281([0-9a-f]{2})|0282([0-9a-f]{4})/.exec(text);
  if (rsa) {
    const bytes = Number.parseInt(rsa[1] ?? rsa[2] ?? '0', 16);
    const from = rsa.index + rsa[0].length;
    if (bytes >= 128 && text.length >= from + 2 * bytes) return text.slice(from, from + 2 * bytes);
  }
  // An uncompressed point in the optional public key of an EC key: BIT STRING of 66, 98 or 134 bytes.
  return /03(?:42|62|8186)00(04[0-9a-f]{128,})$/.exec(text)?.[1];
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
