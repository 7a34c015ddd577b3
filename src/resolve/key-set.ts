const BASE64 = /^[A-Za-z0-9+/_-]+=*$/;
const CURVES = new Map([['P-256', 'ES256'], ['P-384', 'ES384'], ['P-521', 'ES512']]);

/** True when the text is a JSON Web Key Set with at least one key that proxies can use. They refuse all of their configuration for a set without. */
export function hasKeys(text: string): boolean {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return false;
  }
  const keys = typeof set === 'object' && set !== null && Object.hasOwn(set, 'keys') ? (set as { readonly keys: unknown }).keys : undefined;
  return Array.isArray(keys) && keys.some(isUsable);
}

/** @see https://www.rfc-editor.org/rfc/rfc7518#section-6 */
function isUsable(key: unknown): boolean {
  if (typeof key !== 'object' || key === null) return false;
  const field = (name: string): unknown => (Object.hasOwn(key, name) ? (key as Record<string, unknown>)[name] : undefined);
  const encoded = (name: string): boolean => typeof field(name) === 'string' && BASE64.test(field(name) as string);
  const alg = field('alg') ?? '';
  const curve = field('crv');
  if (typeof alg !== 'string' || !['string', 'undefined'].includes(typeof field('kid'))) return false;
  switch (field('kty')) {
    case 'RSA':
      return encoded('n') && encoded('e') && (alg === '' || /^[RP]S/.test(alg));
    case 'EC':
      return encoded('x') && encoded('y') && typeof curve === 'string' && CURVES.has(curve) && (alg === '' || alg === CURVES.get(curve));
    case 'OKP':
      return encoded('x') && curve === 'Ed25519' && (alg === '' || alg === 'EdDSA');
    case 'oct':
      return encoded('k') && (alg === '' || alg.startsWith('HS'));
    default:
      return false;
  }
}
