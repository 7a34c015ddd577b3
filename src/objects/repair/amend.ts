/** What a schema does not ask for and an object cannot do without: added with a name that its author has to check. */
import type { KubeObject } from '../meta.ts';
import { isObject } from '../schema/values.ts';

type Amendment = (object: KubeObject, amended: string[]) => KubeObject;

const AMENDMENTS: Readonly<Record<string, Amendment>> = {
  // Servers of these protocols have a certificate, or hand the bytes through.
  'networking.istio.io/Gateway': amendGateway,
};

/** The object with what it lacks; the object itself when it lacks nothing we know. */
export function amend(object: KubeObject): { readonly object: KubeObject; readonly amended: readonly string[] } {
  const key = `${object.apiVersion.split('/')[0]}/${object.kind}`;
  const amended: string[] = [];
  return { object: Object.hasOwn(AMENDMENTS, key) ? AMENDMENTS[key]!(object, amended) : object, amended };
}

function amendGateway(object: KubeObject, amended: string[]): KubeObject {
  const { spec } = object as { readonly spec?: unknown };
  if (!isObject(spec) || !Array.isArray(spec['servers'])) return object;
  const servers = (spec['servers'] as readonly unknown[]).map((server, index) => {
    if (!isObject(server) || server['tls'] !== undefined || !isObject(server['port'])) return server;
    const protocol = typeof server['port']['protocol'] === 'string' ? server['port']['protocol'].toUpperCase() : '';
    if (protocol !== 'HTTPS' && protocol !== 'TLS') return server;
    const tls = protocol === 'TLS' ? { mode: 'PASSTHROUGH' } : { mode: 'SIMPLE', credentialName: `${object.metadata.name}-credential` };
    amended.push(`spec.servers[${index}].tls is missing: ${protocol === 'TLS' ? 'the bytes are handed through' : `the certificate is that of Secret ${object.metadata.name}-credential, which you have to create`}`);
    return { ...server, tls };
  });
  return amended.length === 0 ? object : ({ ...object, spec: { ...spec, servers } } as KubeObject);
}
