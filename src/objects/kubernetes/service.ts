import type { SpecObject } from '../meta.ts';
import { SERVICE } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bool, having, int, intOrString, list, map, obj, oneOf, req, str, strDefault, type Infer } from '../schema/dsl.ts';
import { conditions } from './meta-schema.ts';

const servicePort = obj({
  name: str(),
  protocol: having(oneOf('TCP', 'UDP', 'SCTP'), { default: 'TCP' }),
  appProtocol: str(),
  port: req(int()),
  /** Default: the port. A text names a container port. */
  targetPort: intOrString(),
  nodePort: int(),
});
/** One port of a service. */
export type ServicePort = Infer<typeof servicePort>;

const spec = obj({
  ports: list(servicePort, { mapKeys: ['port', 'protocol'] }),
  selector: map(str(), { 'x-kubernetes-map-type': 'atomic' }),
  clusterIP: str(),
  clusterIPs: list(str(), { atomic: true }),
  type: having(oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'), { default: 'ClusterIP' }),
  externalIPs: list(str(), { atomic: true }),
  sessionAffinity: strDefault('None'),
  sessionAffinityConfig: obj({ clientIP: obj({ timeoutSeconds: int() }) }),
  loadBalancerIP: str(),
  loadBalancerSourceRanges: list(str(), { atomic: true }),
  loadBalancerClass: str(),
  externalName: str(),
  externalTrafficPolicy: str(),
  internalTrafficPolicy: str(),
  healthCheckNodePort: int(),
  publishNotReadyAddresses: bool(),
  ipFamilies: list(str(), { atomic: true }),
  ipFamilyPolicy: str(),
  allocateLoadBalancerNodePorts: bool(),
  /** `PreferClose`, `PreferSameZone`, `PreferSameNode`. */
  trafficDistribution: str(),
});
/** ServiceSpec. */
export type ServiceSpec = Infer<typeof spec>;

const status = obj({
  loadBalancer: obj({
    ingress: list(
      obj({ ip: str(), hostname: str(), ipMode: str(), ports: list(obj({ port: req(int()), protocol: req(str()), error: str() }), { atomic: true }) }),
      { atomic: true },
    ),
  }),
  conditions,
});
/** ServiceStatus. */
export type ServiceStatus = Infer<typeof status>;

/** A service. @see https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/ */
export type Service = SpecObject<ServiceSpec, ServiceStatus>;

export const SERVICE_KIND = defineKind(SERVICE, { shortNames: ['svc'], categories: ['all'], status: true, fields: { spec, status } });
