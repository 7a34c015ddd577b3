/** How legacy policies name services, and the workloads behind a name. */
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import { Cursor } from '../cursor.ts';

/** A Kubernetes Service as legacy policies see it. */
export interface PolicyService {
  readonly name: string;
  readonly namespace: string;
  /** `name.namespace.svc.domain`. */
  readonly hostname: string;
  /** Labels of its pods. Services without are left out: there is nothing a policy could select. */
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly number: number; readonly name: string; readonly targetPort: number | undefined }[];
}

/** The services that have pods of their own. */
export function policyServices(objects: readonly KubeObject[], domainSuffix: string): readonly PolicyService[] {
  return objects.flatMap((object) => {
    const spec = new Cursor((object as { readonly spec?: unknown }).spec, 'spec', () => {});
    const selector = spec.at('selector').stringMap();
    if (Object.keys(selector).length === 0) return [];
    const namespace = namespaceOf(object);
    const { name } = object.metadata;
    const ports = spec.at('ports').items().map((port) => {
      const number = port.at('port').number() ?? 0;
      const target = port.at('targetPort').value;
      return { number, name: port.at('name').string(), targetPort: target === undefined ? number : typeof target === 'number' ? target : undefined };
    });
    return [{ name, namespace, hostname: `${name}.${namespace}.svc.${domainSuffix}`, selector: { ...selector }, ports }];
  });
}

/** Does a text with `*` at its start or end, or alone, cover another? */
export function covers(pattern: string, text: string): boolean {
  if (pattern === '*') return true;
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1));
  if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1));
  return pattern === text;
}

/** Does one of a role's service names mean this service? Short names are meant in the role's namespace, which the caller has compared. */
export function namesService(pattern: string, service: PolicyService): boolean {
  return [service.hostname, service.name, `${service.name}.${service.namespace}`].some((text) => covers(pattern, text));
}
