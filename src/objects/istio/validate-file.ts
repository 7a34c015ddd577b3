/** What `validate` says about the documents of a file: Istio's kinds by their rules, and what Istio needs of Services. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../meta.ts';
import { isObject, own } from '../schema/values.ts';
import { validateIstioObject } from './validate.ts';
import { Findings } from './validation/findings.ts';
import { isProtocol } from './validation/names.ts';

/**
 * {@link validateIstioObject}, and for Services (alone or in a List) that each port says its protocol. Services of the control plane are let be. The API
 * server takes such Services all the same.
 * @param istioNamespace where the control plane runs
 * @see https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
 */
export function validateFileObject(object: KubeObject, istioNamespace = 'istio-system'): Issue[] {
  const { items } = object as { readonly items?: unknown };
  if (object.kind === 'List' && Array.isArray(items)) return items.filter(isObject).flatMap((item) => validateFileObject(item as unknown as KubeObject, istioNamespace));
  const { spec, metadata = {} } = object as { readonly spec?: unknown; readonly metadata?: { readonly name?: string; readonly namespace?: string } };
  const { name = '', namespace } = metadata;
  if (object.kind !== 'Service' || namespace === istioNamespace || isForeign(object)) return validateIstioObject(object);
  const ports = isObject(spec) ? own(spec, 'ports') : undefined;
  const findings = new Findings({ apiVersion: object.apiVersion, kind: 'Service', name, ...(namespace === undefined ? {} : { namespace }) });
  if (Array.isArray(ports)) ports.forEach((port: unknown, index) => isObject(port) && checkPort(findings, `spec.ports[${index}]`, port));
  return findings.issues;
}

/** A Service of another group, Knative's for example. */
function isForeign({ apiVersion }: KubeObject): boolean {
  return typeof apiVersion === 'string' && apiVersion.includes('/');
}

function checkPort(findings: Findings, path: string, port: Readonly<Record<string, unknown>>): void {
  const [protocol, appProtocol, name] = ['protocol', 'appProtocol', 'name'].map((field) => own(port, field) ?? undefined);
  if (String(protocol).toUpperCase() === 'UDP') return;
  if (appProtocol !== undefined) {
    if (!isProtocol(String(appProtocol))) findings.error(`${path}.appProtocol`, `"${String(appProtocol)}" doesn't follow Istio protocol selection`, 'use http, http2, https, grpc, tcp, tls, …');
  } else if (name === undefined) findings.error(`${path}.name`, 'unnamed port: Istio cannot tell its protocol', 'name it protocol or protocol-suffix, e.g. http-web, or set appProtocol');
  else if (!isProtocol(String(name).split('-', 1)[0]!)) findings.error(`${path}.name`, `port "${String(name)}" does not follow the Istio naming convention`, `name it protocol or protocol-suffix, e.g. http-${String(name)}, or set appProtocol`);
}
