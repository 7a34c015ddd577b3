// Names the mesh answers itself: the control plane's table, with every spelling a client's search list produces. Pure.

/** One host as NDS delivers it. */
export interface NameInfo {
  readonly ips: readonly string[];
  /** `Kubernetes` or `External`. */
  readonly registry: string;
  readonly shortname: string;
  readonly namespace: string;
  readonly altHosts: readonly string[];
}

/** What a lookup found. */
export interface NameAnswer {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  /** The name the addresses belong to, when it is not the one asked for. */
  readonly canonicalName: string | undefined;
}

interface Entry {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

/** An immutable index over one table. */
export class NameTableIndex {
  private readonly entries = new Map<string, Entry>();
  private readonly searches: readonly string[];

  /**
   * `proxyNamespace` decides which short names are ours; `searches` are resolv.conf's search domains, longest first; `domain` is the cluster's
   * (`cluster.local`).
   */
  constructor(hosts: ReadonlyMap<string, NameInfo>, proxyNamespace: string, searches: readonly string[], domain = 'cluster.local') {
    this.searches = [...searches].map((search) => search.toLowerCase().replace(/\.$/, '')).filter((search) => search !== '').sort((a, b) => b.length - a.length);
    for (const [host, info] of hosts) {
      const entry: Entry = { ipv4: info.ips.filter((ip) => !ip.includes(':')), ipv6: info.ips.filter((ip) => ip.includes(':')) };
      for (const name of spellings(host, info, proxyNamespace, domain)) if (!this.entries.has(name) || name === host.toLowerCase()) this.entries.set(name, entry);
    }
  }

  /** Undefined: not a name of the mesh; ask the next resolver. */
  lookup(question: string): NameAnswer | undefined {
    const name = question.toLowerCase().replace(/\.$/, '');
    const direct = this.find(name);
    if (direct) return { ...direct, canonicalName: undefined };
    // `example.com.default.svc.cluster.local`: a resolver with ndots:5 tries its search list before the name itself.
    for (const search of this.searches) {
      if (!name.endsWith(`.${search}`)) continue;
      const bare = name.slice(0, -search.length - 1);
      const found = this.find(bare);
      if (found) return { ...found, canonicalName: bare };
    }
    return undefined;
  }

  private find(name: string): Entry | undefined {
    const exact = this.entries.get(name);
    if (exact) return exact;
    for (let at = name.indexOf('.'); at >= 0; at = name.indexOf('.', at + 1)) {
      const wildcard = this.entries.get(`*${name.slice(at)}`);
      if (wildcard) return wildcard;
    }
    return undefined;
  }

  get size(): number {
    return this.entries.size;
  }
}

function spellings(host: string, info: NameInfo, proxyNamespace: string, domain: string): Set<string> {
  const names = new Set([host, ...info.altHosts].map((name) => name.toLowerCase()));
  if (info.registry === 'Kubernetes' && info.shortname !== '' && info.namespace !== '') {
    const service = `${info.shortname}.${info.namespace}`.toLowerCase();
    if (host.toLowerCase() === `${service}.svc.${domain}`) for (const name of [service, `${service}.svc`]) names.add(name);
    if (info.namespace === proxyNamespace) names.add(info.shortname.toLowerCase());
  }
  return names;
}
