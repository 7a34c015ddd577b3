import type { SpecObject } from '../meta.ts';
import { INGRESS, INGRESS_CLASS } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, int, list, obj, req, str, type Infer } from '../schema/dsl.ts';

const backend = obj({ service: obj({ name: req(str()), port: obj({ name: str(), number: int() }) }), resource: obj({ apiGroup: str(), kind: req(str()), name: req(str()) }) });
export type IngressBackend = Infer<typeof backend>;

const spec = obj({
  ingressClassName: str(),
  defaultBackend: backend,
  tls: list(obj({ hosts: list(str(), { atomic: true }), secretName: str() }), { atomic: true }),
  rules: list(
    obj({ host: str(), http: obj({ paths: req(list(obj({ path: str(), pathType: req(str()), backend: req(backend) }), { atomic: true })) }) }),
    { atomic: true },
  ),
});
const status = obj({ loadBalancer: obj({ ingress: list(obj({ ip: str(), hostname: str(), ports: list(anyObject(), { atomic: true }) }), { atomic: true }) }) });

/** An ingress. @see https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/ */
export type Ingress = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
export const INGRESS_KIND = defineKind(INGRESS, { shortNames: ['ing'], status: true, fields: { spec, status } });

const classSpec = obj({ controller: str(), parameters: obj({ apiGroup: str(), kind: req(str()), name: req(str()), scope: str(), namespace: str() }) });
/** Who serves ingresses of a class. */
export type IngressClass = SpecObject<Infer<typeof classSpec>>;
export const INGRESS_CLASS_KIND = defineKind(INGRESS_CLASS, { fields: { spec: classSpec } });
