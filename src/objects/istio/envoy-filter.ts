import type { SpecObject } from '../meta.ts';
import { ENVOY_FILTER } from '../resource-types.ts';
import { anyObject, int, list, map, obj, oneOf, str, uint, type Infer } from '../schema/dsl.ts';
import { networkingSelector, targetReference, type IstioStatus } from './common.ts';
import { defineIstioKind } from './define-istio-kind.ts';

const listenerMatch = obj({
  portNumber: uint(),
  portName: str(),
  filterChain: obj({
    name: str(),
    sni: str(),
    transportProtocol: str(),
    applicationProtocols: str(),
    filter: obj({ name: str(), subFilter: obj({ name: str() }) }),
    destinationPort: uint(),
  }),
  listenerFilter: str(),
  name: str(),
});
const routeConfigurationMatch = obj({
  portNumber: uint(),
  portName: str(),
  gateway: str(),
  vhost: obj({ name: str(), domainName: str(), route: obj({ name: str(), action: oneOf('ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE') }) }),
  name: str(),
});
const waypointMatch = obj({
  portNumber: uint(),
  filter: obj({ name: str(), subFilter: obj({ name: str() }) }),
  route: obj({ name: str() }),
});

const match = obj({
  context: oneOf('ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT'),
  proxy: obj({ proxyVersion: str(), metadata: map(str()) }),
  listener: listenerMatch,
  routeConfiguration: routeConfigurationMatch,
  cluster: obj({ portNumber: uint(), service: str(), subset: str(), name: str() }),
  waypoint: waypointMatch,
});
/** Where a patch applies. */
export type EnvoyConfigObjectMatch = Infer<typeof match>;

const patch = obj({
  operation: oneOf('INVALID', 'MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE', 'MERGE_AND_REPLACE_LIST'),
  value: anyObject(),
  filterClass: oneOf('UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'),
});
const configPatch = obj({
  applyTo: oneOf(
    'INVALID', 'LISTENER', 'FILTER_CHAIN', 'NETWORK_FILTER', 'HTTP_FILTER', 'ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE', 'CLUSTER', 'EXTENSION_CONFIG', 'BOOTSTRAP',
    'LISTENER_FILTER',
  ),
  match,
  patch,
});
/** One change of generated configuration. */
export type EnvoyConfigObjectPatch = Infer<typeof configPatch>;

const spec = obj({
  workloadSelector: networkingSelector,
  targetRefs: list(targetReference, {}, { maxItems: 16 }),
  /** The form of Istio 1.2: read, with a warning that shows the modern form. */
  workloadLabels: map(str()),
  filters: list(anyObject()),
  configPatches: list(configPatch),
  /** Lower first; default 0. */
  priority: int(),
});
/** @see https://istio.io/latest/docs/reference/config/networking/envoy-filter/ */
export type EnvoyFilterSpec = Infer<typeof spec>;
export type EnvoyFilter = SpecObject<EnvoyFilterSpec, IstioStatus>;

export const ENVOY_FILTER_KIND = defineIstioKind(ENVOY_FILTER, { versions: ['v1alpha3'], storageVersion: 'v1alpha3', category: 'networking-istio-io', spec });
