/** Names inside a loopback pod: what libc would do with the pod's resolv.conf and hosts file, done by the cluster's DNS; other names go to the machine's own resolver. */
import dns from 'node:dns';
import { isIP } from 'node:net';
import { realPort } from '../address-plan.ts';
import type { PodNetwork, Redirect } from '../pod-network.ts';

interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

const TIMEOUT_MS = 2000;
const DNS_PORT = 53;
const AGENT_DNS_PORT = 15053;
/** Answers that say "not this name": the next candidate is tried. */
const NO_NAME = new Set(['ENOTFOUND', 'ENODATA']);

/** The absolute names to ask for, in the order of resolv.conf(5). Pure. */
export function candidates(name: string, searches: readonly string[], ndots: number): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const searched = searches.map((domain) => `${name}.${domain}`);
  return name.split('.').length - 1 >= ndots ? [name, ...searched] : [...searched, name];
}

/** Replaces `dns.lookup` and points the resolvers at the cluster. */
export function patchNames(pod: PodNetwork, redirect: Redirect | undefined): void {
  const captured = redirect?.redirectDns === true && pod.role === 'app';
  const server = captured ? `${pod.localIP}:${AGENT_DNS_PORT}` : `${pod.dns.server}:${realPort(DNS_PORT, pod.firstPort)}`;
  const resolver = new dns.promises.Resolver({ timeout: TIMEOUT_MS, tries: 2 });
  resolver.setServers([server]);
  const system = dns.lookup;
  const systemLookup = system as (...args: unknown[]) => void;
  const systemPromise = dns.promises.lookup;
  dns.setServers([server]);
  const find = (name: string): Promise<readonly Address[] | undefined> => findInCluster(pod, resolver, name);
  const lookup = (name: string, options: unknown, callback?: unknown): void => {
    const done = (typeof options === 'function' ? options : callback) as (error: Error | null, ...rest: unknown[]) => void;
    if (typeof name !== 'string' || name === '' || isIP(name) || typeof done !== 'function') return systemLookup(...[name, options, callback].filter((value) => value !== undefined));
    const wanted = wantedOf(options);
    void find(name).then((found) => {
      if (!found) return systemLookup(name, typeof options === 'function' ? {} : options, done);
      const fitting = found.filter(({ family }) => wanted.family === 0 || family === wanted.family);
      if (fitting.length === 0) return done(notFound(name));
      if (wanted.all) return done(null, fitting);
      done(null, fitting[0]!.address, fitting[0]!.family);
    });
  };
  const lookupPromise = async (name: string, options?: unknown): Promise<unknown> => {
    const found = isIP(name) ? undefined : await find(name);
    if (!found) return (systemPromise as (...args: unknown[]) => Promise<unknown>)(name, options ?? {});
    const wanted = wantedOf(options);
    const fitting = found.filter(({ family }) => wanted.family === 0 || family === wanted.family);
    if (fitting.length === 0) throw notFound(name);
    return wanted.all ? fitting : fitting[0];
  };
  // util.promisify asks for the names of the two results by symbols of Node's own.
  for (const symbol of Object.getOwnPropertySymbols(system)) Object.defineProperty(lookup, symbol, Object.getOwnPropertyDescriptor(system, symbol)!);
  dns.lookup = lookup as typeof dns.lookup;
  dns.promises.lookup = lookupPromise as typeof dns.promises.lookup;
}

/** Undefined: not a name of the cluster. */
async function findInCluster(pod: PodNetwork, resolver: dns.promises.Resolver, name: string): Promise<readonly Address[] | undefined> {
  const lower = name.toLowerCase().replace(/\.$/, '');
  if (lower === 'localhost' || lower.endsWith('.localhost')) return [{ address: '127.0.0.1', family: 4 }];
  const known = pod.hosts.filter(({ names }) => names.some((one) => one.toLowerCase() === lower)).map(({ ip }) => ip);
  if (known.length > 0) return known.map((address) => ({ address, family: isIP(address) === 6 ? 6 : 4 }));
  for (const candidate of candidates(name, pod.dns.searches, pod.dns.ndots)) {
    try {
      const found = await resolver.resolve4(candidate);
      if (found.length > 0) return found.map((address) => ({ address, family: 4 }));
    } catch (error) {
      if (!NO_NAME.has((error as NodeJS.ErrnoException).code ?? '')) continue;
    }
  }
  return undefined;
}

function wantedOf(options: unknown): { readonly family: 0 | 4 | 6; readonly all: boolean } {
  const object = typeof options === 'object' && options !== null ? (options as { family?: unknown; all?: unknown }) : { family: options };
  const family = object.family === 6 || object.family === 'IPv6' ? 6 : object.family === 4 || object.family === 'IPv4' ? 4 : 0;
  return { family, all: 'all' in object && object.all === true };
}

function notFound(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND', errno: -3008, syscall: 'getaddrinfo', hostname: name });
}
