/** Finds the virtual host of a request by its host. */

/** Domains of one table. Search order: exact, longest suffix wildcard (`*.b.c`), longest prefix wildcard (`a.*`), `*`. */
export class DomainIndex<T> {
  private readonly exact = new Map<string, T>();
  private readonly suffixes = new WildcardIndex<T>();
  private readonly prefixes = new WildcardIndex<T>();
  private fallback: T | undefined;

  /**
   * Adds one domain. Throws when it is there already: Envoy refuses the whole table then.
   * @see envoy.config.route.v3.VirtualHost.domains
   */
  add(domain: string, value: T): void {
    const name = domain.toLowerCase();
    if (name === '') throw new Error('a domain is empty');
    let fresh: boolean;
    if (name === '*') {
      fresh = this.fallback === undefined;
      this.fallback ??= value;
    } else if (name.startsWith('*')) fresh = this.suffixes.add(name.slice(1), value);
    else if (name.endsWith('*')) fresh = this.prefixes.add(name.slice(0, -1), value);
    else {
      fresh = !this.exact.has(name);
      if (fresh) this.exact.set(name, value);
    }
    if (!fresh) throw new Error(name === '*' ? 'only a single wildcard domain is permitted' : `only unique values for domains are permitted, "${domain}" is there twice`);
  }

  /** What {@link find} finds, without the reason. */
  value(host: string): T | undefined {
    // Most hosts are written as they are configured.
    const exact = this.exact.get(host);
    return exact === undefined ? this.find(host)?.value : exact;
  }

  /** `host` without port where ports are ignored; any case. A wildcard stands for at least one character. */
  find(host: string): { readonly value: T; readonly by: string } | undefined {
    const name = host.toLowerCase();
    const exact = this.exact.get(name);
    if (exact !== undefined) return { value: exact, by: name };
    const suffix = this.suffixes.find(name, (length) => name.slice(name.length - length));
    if (suffix) return { value: suffix.value, by: `*${suffix.part}` };
    const prefix = this.prefixes.find(name, (length) => name.slice(0, length));
    if (prefix) return { value: prefix.value, by: `${prefix.part}*` };
    return this.fallback === undefined ? undefined : { value: this.fallback, by: '*' };
  }
}

/** Wildcards by the length of their fixed part, longest first. */
class WildcardIndex<T> {
  private readonly byLength = new Map<number, Map<string, T>>();
  private lengths: number[] = [];

  add(part: string, value: T): boolean {
    let bucket = this.byLength.get(part.length);
    if (!bucket) {
      bucket = new Map();
      this.byLength.set(part.length, bucket);
      this.lengths = [...this.byLength.keys()].sort((a, b) => b - a);
    }
    if (bucket.has(part)) return false;
    bucket.set(part, value);
    return true;
  }

  find(name: string, partOf: (length: number) => string): { readonly value: T; readonly part: string } | undefined {
    for (const length of this.lengths) {
      if (length >= name.length) continue;
      const part = partOf(length);
      const value = this.byLength.get(length)!.get(part);
      if (value !== undefined) return { value, part };
    }
    return undefined;
  }
}

/** `a:80` → `a`, `[::1]:80` → `[::1]`. */
export function withoutPort(host: string): string {
  const colon = host.lastIndexOf(":");
  return colon < 0 || (host.indexOf(":") !== colon && host[colon - 1] !== "]") ? host : host.slice(0, colon);
}
