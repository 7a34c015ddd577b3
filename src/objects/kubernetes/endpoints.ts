import type { KubeObject } from '../meta.ts';
import { ENDPOINTS } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { int, list, obj, req, str, strDefault, type Infer } from '../schema/dsl.ts';
import { objectReference } from './meta-schema.ts';

const address = obj({ ip: req(str()), hostname: str(), nodeName: str(), targetRef: objectReference });
const subset = obj({
  addresses: list(address, { atomic: true }),
  notReadyAddresses: list(address, { atomic: true }),
  ports: list(obj({ name: str(), port: req(int()), protocol: strDefault('TCP'), appProtocol: str() }), { atomic: true }),
});
export type EndpointSubset = Infer<typeof subset>;
export type EndpointAddress = Infer<typeof address>;

/** The addresses of a service in one object. @see https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoints-v1/ */
export interface Endpoints extends KubeObject {
  readonly subsets?: readonly EndpointSubset[];
}

export const ENDPOINTS_KIND = defineKind(ENDPOINTS, { shortNames: ['ep'], singular: 'endpoints', fields: { subsets: list(subset, { atomic: true }) } });
