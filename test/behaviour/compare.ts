/** What was seen of a call, in the words in which two data planes are compared. */
import type { ReceivedRequest, Seen } from './case.ts';
import type { LogLine } from './proxy-process.ts';

/** Plain values by what they are. */
export type Sight = Readonly<Record<string, string | number | boolean | null>>;

const RESPONSE_HEADERS = ['x-a', 'x-b', 'location', 'server', 'access-control-allow-origin', 'access-control-allow-credentials', 'www-authenticate', 'content-type'];
const REQUEST_HEADERS = ['x-a', 'x-b', 'x-host', 'x-sub', 'authorization', 'x-forwarded-proto', 'x-envoy-original-path', 'x-envoy-attempt-count'];
const LOGGED = ['response_flags', 'response_code_details', 'route_name', 'requested_server_name', 'upstream_cluster'];
/** Backends that are several behind one name: which one answers is chance. */
const oneOf = (name: string): string => name.replace(/^reviews-v[123]$/, 'reviews');

/** The reason of the transport, which Envoy since 1.38 keeps out of bodies. @see known-differences.yaml, protocols/local-replies */
const TRANSPORT_REASON = /, transport failure reason: .*$/;

/** Of one call (the last of its repeats) with what backends got. Mirrored requests are left out: they may come late. */
export function sightOf(seen: Seen | undefined, received: readonly ReceivedRequest[], line: LogLine | undefined): Sight {
  const direct = received.filter(({ authority }) => !/-shadow(?::\d+)?$/.test(authority));
  const last = direct.at(-1);
  const sight: Record<string, string | number | boolean | null> = { status: seen?.status ?? null, closed: seen?.closed ?? false, alpn: seen?.alpn ?? null, requests: direct.length, body: (seen?.body ?? '').replace(/reviews-v[123]/g, 'reviews').replace(TRANSPORT_REASON, '') };
  for (const name of RESPONSE_HEADERS) sight[`response ${name}`] = seen?.headers.get(name) ?? null;
  if (last) {
    Object.assign(sight, { backend: oneOf(last.backend), method: last.method, path: last.path, authority: last.authority, version: last.version, client: last.client, 'backend sni': last.sni });
    for (const name of REQUEST_HEADERS) sight[`request ${name}`] = last.headers.get(name) ?? null;
  }
  if (line) for (const name of LOGGED) sight[`log ${name}`] = line?.[name] === undefined || line[name] === null ? null : String(line[name]).replace(/;$/, '');
  // Connections that a policy refuses: ours is closed before a cluster is drawn, Envoy's after (docs/compatibility.md, AuthorizationPolicy on TCP).
  if (seen?.closed && direct.length === 0 && seen.status === undefined && line) sight['log upstream_cluster'] = null;
  return sight;
}

/** Where two sights differ, in what both have (a line of the log may be missed, when clocks and ports do not tell whose it is). */
export function differences(a: Sight, b: Sight, names: readonly [string, string]): string[] {
  return Object.keys(a).filter((key) => key in b && a[key] !== b[key]).map((key) => `${key}: ${names[0]} ${JSON.stringify(a[key] ?? null)}, ${names[1]} ${JSON.stringify(b[key] ?? null)}`);
}
