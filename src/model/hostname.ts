/** True for `*` and `*.x` (and Istio's `*-x` suffix form). */
export function isWildcard(host: string): boolean {
  return host.startsWith('*');
}

/** True when `pattern` (`*`, `*.x` or a name) covers `host`, which may itself be a wildcard. Both must be lower case. */
export function covers(pattern: string, host: string): boolean {
  if (pattern === '*' || pattern === host) return true;
  if (!isWildcard(pattern)) return false;
  const suffix = pattern.slice(1);
  return isWildcard(host) ? host.slice(1).endsWith(suffix) : host.length > suffix.length - (suffix.startsWith('.') ? 0 : 1) && host.endsWith(suffix);
}

/** True when some name is meant by both. */
export function overlaps(a: string, b: string): boolean {
  return covers(a, b) || covers(b, a);
}

/** Sorts names before wildcards, longer before shorter: the most specific first. */
export function bySpecificity(a: string, b: string): number {
  const wildA = isWildcard(a);
  const wildB = isWildcard(b);
  if (wildA !== wildB) return wildA ? 1 : -1;
  return b.length - a.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The most specific of `patterns` that covers `host`, or undefined. */
export function mostSpecific(host: string, patterns: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const pattern of patterns) if (covers(pattern, host) && (best === undefined || bySpecificity(pattern, best) < 0)) best = pattern;
  return best;
}

/** True for an IPv4 or IPv6 literal. */
export function isIp(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

export function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

export function isIpv6(text: string): boolean {
  return text.includes(':') && /^[0-9a-fA-F:.]+$/.test(text);
}

/** Address and prefix length of `a.b.c.d/n` or a bare address (whole length); undefined when it is no address. */
export function parseCidr(text: string): { readonly address: string; readonly prefix: number } | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  if (!isIp(address)) return undefined;
  const whole = isIpv4(address) ? 32 : 128;
  const length = slash < 0 ? String(whole) : text.slice(slash + 1);
  const prefix = Number(length);
  return /^\d{1,3}$/.test(length) && prefix <= whole ? { address, prefix } : undefined;
}

/** The bits of an address as a big number; undefined when it is none. */
export function addressBits(address: string): bigint | undefined {
  if (isIpv4(address)) return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
  if (!isIpv6(address)) return undefined;
  let text = address;
  const tail = text.slice(text.lastIndexOf(':') + 1);
  if (isIpv4(tail)) {
    const low = addressBits(tail) ?? 0n;
    text = `${text.slice(0, text.lastIndexOf(':') + 1)}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const [head = '', rest, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const left = head ? head.split(':') : [];
  const right = rest ? rest.split(':') : [];
  if (rest === undefined ? left.length !== 8 : left.length + right.length > 8) return undefined;
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  let bits = 0n;
  for (const group of groups) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    bits = (bits << 16n) | BigInt(`0x${group}`);
  }
  return bits;
}

/** The network of a CIDR as comparable text (`family/bits/prefix`): equal when only insignificant bits differ. */
export function networkOf(cidr: { readonly address: string; readonly prefix: number }): string {
  const v4 = isIpv4(cidr.address);
  const shift = BigInt((v4 ? 32 : 128) - cidr.prefix);
  return `${v4 ? 4 : 6}/${((addressBits(cidr.address) ?? 0n) >> shift).toString(16)}/${cidr.prefix}`;
}
