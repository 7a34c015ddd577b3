/** The analyzers' messages: Istio's codes, levels and wording. @see https://istio.io/latest/docs/reference/config/analysis/ */
import type { Issue, ObjectReference, Severity } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';

/** Code → level and text of the arguments. */
const MESSAGES = {
  IST0101: ['error', (type: string, value: string) => `Referenced ${type} not found: ${JSON.stringify(value)}`],
  IST0102: ['info', (namespace: string) => `The namespace is not enabled for Istio injection. Run 'kubectl label namespace ${namespace} istio-injection=enabled' to enable it, or 'kubectl label namespace ${namespace} istio-injection=disabled' to explicitly mark it as not needing injection.`],
  IST0103: ['warning', (pod: string) => `The pod ${pod} is missing the Istio proxy. This can often be resolved by restarting or redeploying the workload.`],
  IST0106: ['error', (error: string) => `Schema validation error: ${error}`],
  IST0109: ['error', (names: string, host: string) => `The VirtualServices ${names} associated with mesh gateway define the same host ${host} which can lead to undefined behavior. This can be fixed by merging the conflicting VirtualServices into a single resource.`],
  IST0112: ['error', (host: string, ports: string) => `This VirtualService routes to a service ${JSON.stringify(host)} that exposes multiple ports ${ports}. Specifying a port in the destination is required to disambiguate.`],
  IST0123: ['warning', (labels: string) => `The namespace has more than one type of injection labels ${labels}, which may lead to undefined behavior. Make sure only one injection label exists.`],
  IST0132: ['warning', (hosts: string, service: string, gateway: string) => `one or more host ${hosts} defined in VirtualService ${service} not found in Gateway ${gateway}.`],
  IST0165: ['warning', (service: string, gateway: string) => `Gateway reference in VirtualService ${service} is to an implementation-generated internal Gateway: ${gateway}.`],
} as const satisfies Readonly<Record<string, readonly [Severity, (...args: string[]) => string]>>;

export type MessageCode = keyof typeof MESSAGES;

/** Names of the codes, as `analyze -L` and Istio's catalogue print them. */
export const MESSAGE_NAMES: Readonly<Record<MessageCode, string>> = {
  IST0101: 'ReferencedResourceNotFound', IST0102: 'NamespaceNotInjected', IST0103: 'PodMissingProxy', IST0106: 'SchemaValidationError',
  IST0109: 'ConflictingMeshGatewayVirtualServiceHosts', IST0112: 'VirtualServiceDestinationPortSelectorRequired', IST0123: 'NamespaceMultipleInjectionLabels', IST0132: 'VirtualServiceHostNotFoundInGateway', IST0165: 'ReferencedInternalGateway',
};

/** Annotation under which {@link referenceOf} finds where an object was read from. */
export const ORIGIN = 'meltemi.dev/origin';

export function referenceOf(object: KubeObject): ObjectReference {
  const { namespace, name, annotations } = object.metadata;
  const origin = annotations?.[ORIGIN];
  return { apiVersion: object.apiVersion, kind: object.kind, name, ...(namespace !== undefined && { namespace }), ...(origin !== undefined && { origin }) };
}

/** An issue with Istio's wording. `fix` is ours. */
export function message<C extends MessageCode>(code: C, object: KubeObject, path: string, args: Parameters<(typeof MESSAGES)[C][1]>, fix?: string): Issue {
  const [severity, text] = MESSAGES[code] as readonly [Severity, (...args: string[]) => string];
  return { severity, code, object: referenceOf(object), path, message: text(...(args as string[])), ...(fix !== undefined && { fix }) };
}
