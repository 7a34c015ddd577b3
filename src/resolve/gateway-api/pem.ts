/** PEM as far as it can be judged without cryptography: armour, base64 and the first byte of DER. */

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END \1-----/g;

/** Labels of the well-formed PEM blocks of a text, in order. */
export function pemLabels(text: string): readonly string[] {
  // DER starts with a SEQUENCE (0x30), which base64 writes as M.
  return [...text.matchAll(BLOCK)].filter(([, , body = '']) => body.trimStart().startsWith('M')).map(([, label = '']) => label);
}

/** What is wrong with a certificate chain and its key, in the words of Go's `tls.X509KeyPair`; undefined when nothing is. */
export function keyPairProblem(certificate: string, privateKey: string): string | undefined {
  const chain = pemLabels(certificate);
  if (chain.length === 0) return 'tls: failed to find any PEM data in certificate input';
  if (!chain.includes('CERTIFICATE')) return `tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched`;
  const keys = pemLabels(privateKey);
  if (keys.length === 0) return 'tls: failed to find any PEM data in key input';
  if (!keys.some((label) => label === 'PRIVATE KEY' || label.endsWith(' PRIVATE KEY'))) return 'tls: found a certificate rather than a key in the PEM for the private key';
  return undefined;
}

/** Does the text hold a certificate? */
export function hasCertificate(text: string): boolean {
  return pemLabels(text).includes('CERTIFICATE');
}
