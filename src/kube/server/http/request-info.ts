/** The grammar of API paths. Pure. @see https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris */

/** What a resource path names. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  /** Undefined: all namespaces, or a cluster-scoped resource. */
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string;
}

/** Splits a path into decoded segments; undefined when it is not well-formed. */
export function segmentsOf(pathname: string): string[] | undefined {
  try {
    const segments = pathname.split('/').filter((part) => part !== '').map(decodeURIComponent);
    return segments.some((part) => part.includes('/') || part === '..' || part === '.' || part.includes('\0')) ? undefined : segments;
  } catch {
    return undefined;
  }
}

/** Parses the segments below `/api/v1` or `/apis/<group>/<version>`; undefined when they name no resource. */
export function parseResourcePath(segments: readonly string[]): ResourcePath | undefined {
  const [root, ...rest] = segments;
  let group = '';
  if (root === 'apis') group = rest.shift() ?? '';
  else if (root !== 'api') return undefined;
  const version = rest.shift();
  if (version === undefined || rest.length === 0) return undefined;
  let namespace: string | undefined;
  // `namespaces/x/status` and `/finalize` are the namespace's own.
  if (rest[0] === 'namespaces' && rest.length > 2 && !(rest.length === 3 && (rest[2] === 'status' || rest[2] === 'finalize'))) {
    namespace = rest[1];
    rest.splice(0, 2);
  }
  const [plural, name, ...subresource] = rest;
  if (plural === undefined || subresource.length > 1) return undefined;
  return { group, version, namespace, plural, name, subresource: subresource[0] ?? '' };
}
