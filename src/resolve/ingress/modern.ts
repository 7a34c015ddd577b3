/** Ingresses of `extensions/v1beta1` and `networking.k8s.io/v1beta1` as `networking.k8s.io/v1` writes them. */
import { stringify } from 'yaml';
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { writtenMetadata } from '../../objects/repair/written.ts';
import { referenceOf } from '../context.ts';
import { CONVERTED } from '../legacy/modern.ts';

type Json = Readonly<Record<string, unknown>>;

/** Tells the author of an Ingress in an old form what to write today. */
export function legacyIngressIssues(ingress: KubeObject): readonly Issue[] {
  if (ingress.apiVersion === 'networking.k8s.io/v1') return [];
  return [{
    severity: 'warning', code: CONVERTED, object: referenceOf(ingress), path: 'apiVersion',
    message: `${ingress.apiVersion} Ingress is gone from Kubernetes since 1.22; it is read as networking.k8s.io/v1.`, fix: stringify(modernIngress(ingress), { lineWidth: 0 }),
  }];
}

/** The same Ingress in v1: `serviceName` and `servicePort` are `service`, `backend` is `defaultBackend`, and every path has a type. */
export function modernIngress(ingress: KubeObject): Json {
  const { name, namespace, labels, annotations } = writtenMetadata(ingress.metadata as unknown as Json);
  const spec = recordOf((ingress as { readonly spec?: unknown }).spec);
  const { backend, rules, ...rest } = spec;
  const fallback = spec['defaultBackend'] ?? backend;
  return {
    apiVersion: 'networking.k8s.io/v1', kind: 'Ingress',
    metadata: { name, ...(namespace !== undefined && { namespace }), ...(labels !== undefined && { labels }), ...(annotations !== undefined && { annotations }) },
    spec: { ...rest, ...(fallback !== undefined && { defaultBackend: modernBackend(fallback) }), ...(rules !== undefined && { rules: listOf(rules).map(modernRule) }) },
  };
}

function modernRule(rule: unknown): Json {
  const { http, ...rest } = recordOf(rule);
  if (http === undefined) return rest;
  const paths = listOf(recordOf(http)['paths']).map((path) => {
    const { backend, pathType, ...fields } = recordOf(path);
    return { ...fields, pathType: pathType ?? 'ImplementationSpecific', backend: modernBackend(backend) };
  });
  return { ...rest, http: { paths } };
}

function modernBackend(backend: unknown): Json {
  const { serviceName, servicePort, ...rest } = recordOf(backend);
  if (serviceName === undefined) return rest;
  const port = typeof servicePort === 'number' || /^\d+$/.test(String(servicePort)) ? { number: Number(servicePort) } : { name: servicePort };
  return { ...rest, service: { name: serviceName, ...(servicePort !== undefined && { port }) } };
}

function recordOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
