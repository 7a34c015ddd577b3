/** `proxy-config secret`: the certificates a proxy holds; keys are never shown. */
import { X509Certificate } from 'node:crypto';
import { at, textOf, type ConfigDump } from './dump.ts';
import type { Row } from '../table.ts';

export const SECRET_HEADER: Row = ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'];

export function secretRows(dump: ConfigDump, now: Date, prefix = ''): readonly Row[] {
  return dump.secrets.map(({ name, state, secret }) => {
    const chain = at(secret, ['tlsCertificate', 'certificateChain', 'inlineBytes']);
    const type = chain === undefined ? 'CA' : 'Cert Chain';
    const encoded = textOf(chain ?? at(secret, ['validationContext', 'trustedCa', 'inlineBytes']));
    const certificate = encoded ? parse(Buffer.from(encoded, 'base64').toString()) : undefined;
    if (!certificate) return [prefix + name, type, state, 'false', '', '', ''];
    const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
    return [prefix + name, type, state, String(from <= now && now < to), certificate.serialNumber.toLowerCase(), stamp(to), stamp(from)];
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
