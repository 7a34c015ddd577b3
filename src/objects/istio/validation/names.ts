/** Rules for names, hosts, addresses, ports and labels. Each function says what is wrong, or returns undefined. */
import { RE2JS } from 're2js';

const DNS_LABEL = /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const WILDCARD_LABEL = /^(\*|(\*|\*-)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)$/;

/** A DNS label (RFC 1123) of at most 63 letters; Istio accepts capitals. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && DNS_LABEL.test(text);
}

function lengthProblem(host: string): string | undefined {
  if (host === '') return 'empty domain name not allowed';
  return host.length > 255 ? `domain name "${host.slice(0, 60)}…" too long (max 255)` : undefined;
}

function labelsProblem(domain: string): string | undefined {
  const parts = domain.split('.');
  const last = parts.at(-1)!;
  if (/^\d+$/.test(last)) return `domain name "${domain}" invalid (top level domain "${last}" cannot be all-numeric)`;
  // A trailing dot is fine: `istio.io.`
  const labels = last === '' ? parts.slice(0, -1) : parts;
  const wrong = labels.find((label) => !isDnsLabel(label));
  return wrong === undefined ? undefined : `domain name "${domain}" invalid (label "${wrong}" invalid)`;
}

/** A domain name without wildcards. */
export function fqdnProblem(host: string): string | undefined {
  return lengthProblem(host) ?? labelsProblem(host);
}

/** A domain name whose first label may be or begin with `*`. */
export function wildcardDomainProblem(host: string): string | undefined {
  const tooLong = lengthProblem(host);
  if (tooLong) return tooLong;
  const dot = host.indexOf('.');
  const first = dot < 0 ? host : host.slice(0, dot);
  if (first.length > 63 || !WILDCARD_LABEL.test(first)) return `domain name "${host}" invalid (label "${first}" invalid)`;
  return dot < 0 ? undefined : labelsProblem(host.slice(dot + 1));
}

/** `*a.com`: Istio takes it in some places, Envoy in none. */
export function isPartialWildcard(host: string): boolean {
  return host.includes('*') && host !== '*' && !host.startsWith('*.');
}

/** An IPv4 or IPv6 address. */
export function isIpAddress(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  const address = text.replace(/%[\w.-]+$/, '');
  if (!address.includes(':') || address.length > 45) return false;
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1);
  const hasIpv4 = last !== undefined && last.includes('.');
  if (hasIpv4 && !isIpv4(last)) return false;
  const plain = hasIpv4 ? groups.slice(0, -1) : groups;
  const count = plain.length + (hasIpv4 ? 2 : 0);
  return plain.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? count < 8 : count === 8);
}

/** An address or a CIDR block. */
export function subnetProblem(subnet: string): string | undefined {
  const [address, bits, ...rest] = subnet.split('/');
  if (bits === undefined) return isIpAddress(subnet) ? undefined : `${subnet} is not a valid IP`;
  const valid = rest.length === 0 && /^\d{1,3}$/.test(bits) && isIpAddress(address!) && Number(bits) <= (isIpv4(address!) ? 32 : 128);
  return valid ? undefined : `${subnet} is not a valid CIDR block`;
}

/** The part of a unix address after `unix://`. */
export function unixPathProblem(path: string): string | undefined {
  if (path === '') return 'unix address must not be empty';
  if (path.startsWith('@')) return undefined;
  if (!path.startsWith('/')) return `${path} is not an absolute path to a file`;
  return path.endsWith('/') ? 'UDS may not be a dir' : undefined;
}

export function portProblem(port: number): string | undefined {
  return Number.isInteger(port) && port >= 1 && port <= 65_535 ? undefined : `port must be between 1-65535, not ${port}`;
}

export function percentProblem(percent: number): string | undefined {
  return percent >= 0 && percent <= 100 ? undefined : `percentage ${percent} is not in range 0..100`;
}

const PROTOCOLS: ReadonlySet<string> = new Set(['grpc', 'grpc-web', 'http', 'http2', 'https', 'tls', 'tcp', 'mongo', 'redis', 'mysql', 'udp', 'hbone', 'http_proxy', 'double-hbone']);

export function isProtocol(text: string): boolean {
  return PROTOCOLS.has(text.toLowerCase());
}

/** HTTP in the clear: the request line can be read. */
export function isHttpProtocol(text: string): boolean {
  return ['http', 'http2', 'grpc', 'grpc-web', 'http_proxy'].includes(text.toLowerCase());
}

export function isTlsProtocol(text: string): boolean {
  return ['https', 'tls'].includes(text.toLowerCase());
}

/** An RE2 regular expression. */
export function regexProblem(regex: string): string | undefined {
  try {
    RE2JS.compile(regex);
    return undefined;
  } catch (thrown) {
    return `${JSON.stringify(regex)} is not a valid regular expression (${thrown instanceof Error ? thrown.message : String(thrown)}); Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)`;
  }
}

const LABEL_NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** The first wrong key or value of labels. */
export function labelsMapProblem(labels: Readonly<Record<string, string>> | undefined): string | undefined {
  for (const [key, value] of Object.entries(labels ?? {})) {
    const slash = key.lastIndexOf('/');
    const name = key.slice(slash + 1);
    if (name.length > 63 || !LABEL_NAME.test(name) || (slash >= 0 && fqdnProblem(key.slice(0, slash)) !== undefined)) return `invalid label key: "${key}"`;
    if (value.length > 63 || !LABEL_VALUE.test(value)) return `invalid label value: "${value}" of "${key}"`;
  }
  return undefined;
}

/** True when every host that `host` stands for also belongs to `other`; both may be wildcards. */
export function hostSubsetOf(host: string, other: string): boolean {
  if (host.startsWith('*')) return other.startsWith('*') && host.length >= other.length && host.slice(1).endsWith(other.slice(1));
  return other.startsWith('*') ? host.endsWith(other.slice(1)) : host === other;
}

/** True when some host belongs to both; both may be wildcards. */
export function hostsOverlap(a: string, b: string): boolean {
  if (a.startsWith('*') && b.startsWith('*')) return a.length < b.length ? b.slice(1).endsWith(a.slice(1)) : a.slice(1).endsWith(b.slice(1));
  return hostSubsetOf(a, b) || hostSubsetOf(b, a);
}
