/** Routes of an attached service: one more route before those that are there, by header; taken out again by its name. Pure. */
import type { HTTPRoute, VirtualService, VirtualServiceSpec } from '../../objects/istio/virtual-service.ts';

/** What shall be reached, by whom. */
export interface Attachment {
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
  /** Port of both services. */
  readonly port: number;
  /** Header names in lower case → the exact value that means "mine". */
  readonly headers: Readonly<Record<string, string>>;
}

const DOMAIN = 'cluster.local';
const MESH = 'mesh';

/** Name of everything that is made for an attachment: pod, service, and VirtualService where there was none. */
export function attachedName({ service, version }: Pick<Attachment, 'service' | 'version'>): string {
  return `${service}-${version}`;
}

/** Name of the routes that are ours. */
export function routeName({ service, version }: Pick<Attachment, 'service' | 'version'>): string {
  return `meltemi-attach-${service}-${version}`;
}

/** The full name that a host of a VirtualService stands for. */
function fullName(host: string, namespace: string): string {
  const labels = host.split('.');
  if (host.includes('*') || labels.length > 3 || host.endsWith(DOMAIN)) return host;
  if (labels.length === 1) return `${host}.${namespace}.svc.${DOMAIN}`;
  return `${labels[0]}.${labels[1]}.svc.${DOMAIN}`;
}

/** Does the VirtualService decide about calls of the mesh to this service? */
function isForMesh({ spec, metadata }: VirtualService, target: string): boolean {
  return (spec.gateways ?? [MESH]).includes(MESH) && (spec.hosts ?? []).some((host) => fullName(host, metadata.namespace ?? 'default') === target);
}

/**
 * The spec with the attachment's routes, or undefined when the VirtualService has nothing to do with the service. In one for the service itself a single route
 * comes first; elsewhere (a gateway's) every route that leads to the service gets a twin before it that also asks for the headers.
 */
export function withAttachment(virtualService: VirtualService, attachment: Attachment): VirtualServiceSpec | undefined {
  const spec = withoutAttachment(virtualService.spec, attachment) ?? virtualService.spec;
  const namespace = virtualService.metadata.namespace ?? 'default';
  const target = fullName(attachment.service, attachment.namespace);
  if (isForMesh(virtualService, target)) return spec.http === undefined && (spec.tcp ?? spec.tls) !== undefined ? undefined : { ...spec, http: [firstRoute(attachment), ...(spec.http ?? [{ route: [{ destination: { host: target } }] }])] };
  const leads = (route: HTTPRoute): boolean => (route.route ?? []).some(({ destination }) => fullName(destination.host, namespace) === target);
  if (!spec.http?.some(leads)) return undefined;
  return { ...spec, http: spec.http.flatMap((route) => (leads(route) ? [twin(route, attachment), route] : [route])) };
}

/** The spec without the attachment's routes; undefined when it has none. */
export function withoutAttachment(spec: VirtualServiceSpec, attachment: Pick<Attachment, 'service' | 'version'>): VirtualServiceSpec | undefined {
  const name = routeName(attachment);
  return spec.http?.some((route) => route.name === name) ? { ...spec, http: spec.http.filter((route) => route.name !== name) } : undefined;
}

/** The spec of a VirtualService for a service that has none. */
export function newSpec(attachment: Attachment): VirtualServiceSpec {
  const host = fullName(attachment.service, attachment.namespace);
  return { hosts: [host], http: [firstRoute(attachment), { route: [{ destination: { host } }] }] };
}

function destinationOf(attachment: Attachment): NonNullable<HTTPRoute['route']> {
  return [{ destination: { host: fullName(attachedName(attachment), attachment.namespace), port: { number: attachment.port } } }];
}

function headerMatch({ headers }: Attachment): Readonly<Record<string, { readonly exact: string }>> {
  return Object.fromEntries(Object.entries(headers).map(([name, exact]) => [name, { exact }]));
}

function firstRoute(attachment: Attachment): HTTPRoute {
  return { name: routeName(attachment), match: [{ headers: headerMatch(attachment), port: attachment.port }], route: destinationOf(attachment) };
}

/** Rewrites and timeouts stay; weights and faults were for others. */
function twin(route: HTTPRoute, attachment: Attachment): HTTPRoute {
  const { fault: _fault, mirror: _mirror, mirrors: _mirrors, ...rest } = route;
  const match = (route.match?.length ? route.match : [{}]).map((one) => ({ ...one, headers: { ...one.headers, ...headerMatch(attachment) } }));
  return { ...rest, name: routeName(attachment), match, route: destinationOf(attachment) };
}
