/** `proxy-config secret`: the certificates a proxy holds; keys are never shown. */
import { X509Certificate } from 'node:crypto';
import { at, textOf, type ConfigDump } from './dump.ts';
import type { Row } from '../table.ts';

export const SECRET_HEADER: Row = ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'];

export function secretRows(dump: ConfigDump, now: Date, prefix = ''): readonly Row[] {
  return dump.secrets.map(({ name, state, secret }) => {
    const encoded = textOf(at(secret, ['tlsCertificate', 'certificateChain', 'inlineBytes']) ?? at(secret, ['validationContext', 'trustedCa', 'inlineBytes']));
    const certificate = encoded ? parse(Buffer.from(encoded, 'base64').toString()) : undefined;
    if (!certificate) return [prefix + name, '', state, 'false', '', '', ''];
    const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
    const serial = certificate.serialNumber.toLowerCase();
    return [prefix + name, certificate.ca ? 'CA' : 'Cert Chain', state, String(from <= now && now < to), serial, stamp(to), stamp(from)];
  });
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function stamp(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z');
}
