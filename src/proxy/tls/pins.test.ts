import { createHash, X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { createSelfSignedCa } from '../../identity/ca.ts';
import { isPinned } from './pins.ts';

const pem = createSelfSignedCa({ organization: 'x', nowMs: Date.now() }).caCertPem;
const certificate = new X509Certificate(pem);
const peer = { sha256: createHash('sha256').update(certificate.raw).digest('hex'), pem: () => pem };
const key = createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('base64');

it.each([
  ['no pins', [], [], true], ['the certificate', [peer.sha256], [], true], ['the key', [], [key], true], ['either', ['00'], [key], true], ['neither', ['00'], ['AA=='], false],
])('%s', (_, certificates, publicKeys, expected) => expect(isPinned({ certificates, publicKeys }, peer)).toBe(expected));
