import type { SpecObject } from '../meta.ts';
import { EXTENSIONS_INGRESS, INGRESS, INGRESS_CLASS } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, int, intOrString, list, obj, req, str, type Infer } from '../schema/dsl.ts';

const backend = obj({
  /** v1beta1's spelling of `service`, with the port of either kind. */
  serviceName: str(),
  servicePort: intOrString(),
  service: obj({ name: req(str()), port: obj({ name: str(), number: int() }) }),
  resource: obj({ apiGroup: str(), kind: req(str()), name: req(str()) }),
});
export type IngressBackend = Infer<typeof backend>;

const spec = obj({
  ingressClassName: str(),
  defaultBackend: backend,
  /** v1beta1's spelling of `defaultBackend`. */
  backend,
  tls: list(obj({ hosts: list(str(), { atomic: true }), secretName: str() }), { atomic: true }),
  rules: list(
    obj({ host: str(), http: obj({ paths: req(list(obj({ path: str(), pathType: str(), backend: req(backend) }), { atomic: true })) }) }),
    { atomic: true },
  ),
});
const status = obj({ loadBalancer: obj({ ingress: list(obj({ ip: str(), hostname: str(), ports: list(anyObject(), { atomic: true }) }), { atomic: true }) }) });

/** An ingress. @see https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/ */
export type Ingress = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
/** v1beta1 is taken and stored as v1: other spellings of a backend are rewritten, a path without a type is ImplementationSpecific. */
export const INGRESS_KIND = defineKind(INGRESS, {
  shortNames: ['ing'], status: true, fields: { spec, status }, versions: ['v1', 'v1beta1'],
  deprecated: { v1beta1: 'networking.k8s.io/v1beta1 Ingress is deprecated in v1.19+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress' },
});
/** The group of old files. Stored apart from `networking.k8s.io`, and served by the mesh in the same way. */
export const EXTENSIONS_INGRESS_KIND = defineKind(EXTENSIONS_INGRESS, {
  status: true, fields: { spec, status }, deprecated: { v1beta1: 'extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress' },
});

const classSpec = obj({ controller: str(), parameters: obj({ apiGroup: str(), kind: req(str()), name: req(str()), scope: str(), namespace: str() }) });
/** Who serves ingresses of a class. */
export type IngressClass = SpecObject<Infer<typeof classSpec>>;
export const INGRESS_CLASS_KIND = defineKind(INGRESS_CLASS, { fields: { spec: classSpec } });
