/** What resolv.conf says that matters to a DNS proxy. */
export interface ResolvConf {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
}

/** Reads the text of a resolv.conf; the last `search` or `domain` line wins. @see resolv.conf(5) */
export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let searches: string[] = [];
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.replace(/[#;].*$/, '').trim().split(/\s+/);
    if (word === 'nameserver' && rest[0]) servers.push(rest[0]);
    if (word === 'search' || word === 'domain') searches = rest;
  }
  return { servers, searches };
}
