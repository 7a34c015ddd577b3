import type { KubeObject } from '../meta.ts';
import { ENDPOINT_SLICE } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, bool, int, list, map, obj, oneOf, req, str, strDefault, type Infer } from '../schema/dsl.ts';
import { objectReference } from './meta-schema.ts';

const endpoint = obj({
  addresses: req(list(str(), { set: true })),
  /** `ready` absent means ready; `terminating` absent means not. */
  conditions: obj({ ready: bool(), serving: bool(), terminating: bool() }),
  hostname: str(),
  targetRef: objectReference,
  deprecatedTopology: map(str()),
  nodeName: str(),
  zone: str(),
  hints: anyObject(),
});
export type Endpoint = Infer<typeof endpoint>;

const port = obj({ name: strDefault(''), protocol: strDefault('TCP'), port: int(), appProtocol: str() }, { 'x-kubernetes-map-type': 'atomic' });
export type EndpointPort = Infer<typeof port>;

const addressType = oneOf('IPv4', 'IPv6', 'FQDN');

/** A part of a service's addresses. @see https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/ */
export interface EndpointSlice extends KubeObject {
  readonly addressType: Infer<typeof addressType>;
  readonly endpoints: readonly Endpoint[];
  readonly ports?: readonly EndpointPort[];
}

export const ENDPOINT_SLICE_KIND = defineKind(ENDPOINT_SLICE, {
  fields: { addressType, endpoints: list(endpoint, { atomic: true }, { nullable: true }), ports: list(port, { atomic: true }, { nullable: true }) },
  required: ['addressType'],
});
