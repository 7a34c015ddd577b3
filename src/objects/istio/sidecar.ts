import type { SpecObject } from '../meta.ts';
import { SIDECAR } from '../resource-types.ts';
import { list, obj, oneOf, req, str, uint, type Infer } from '../schema/dsl.ts';
import { connectionPool, destination, networkingSelector, serverTls, type IstioStatus } from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';

const sidecarPort = obj({ number: uint(), protocol: str(), name: str(), targetPort: uint() });
const captureMode = oneOf('DEFAULT', 'IPTABLES', 'NONE');

const ingressListener = obj({
  port: req(sidecarPort),
  bind: str(),
  captureMode,
  /** `127.0.0.1:P`, `[::1]:P`, `0.0.0.0:P`, `[::]:P` or `unix:///path`. */
  defaultEndpoint: str(),
  tls: serverTls,
  connectionPool,
});
/** @see https://istio.io/latest/docs/reference/config/networking/sidecar/#IstioIngressListener */
export type IstioIngressListener = Infer<typeof ingressListener>;

const egressListener = obj({ port: sidecarPort, bind: str(), captureMode, /** `namespace/name`. */ hosts: req(list(str())) });
/** @see https://istio.io/latest/docs/reference/config/networking/sidecar/#IstioEgressListener */
export type IstioEgressListener = Infer<typeof egressListener>;

const outboundTrafficPolicy = obj({ mode: oneOf('REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS'), egressProxy: destination });
export type OutboundTrafficPolicy = Infer<typeof outboundTrafficPolicy>;

const spec = obj({ workloadSelector: networkingSelector, ingress: list(ingressListener), egress: list(egressListener), inboundConnectionPool: connectionPool, outboundTrafficPolicy });
/** @see https://istio.io/latest/docs/reference/config/networking/sidecar/ */
export type SidecarSpec = Infer<typeof spec>;
export type Sidecar = SpecObject<SidecarSpec, IstioStatus>;

export const SIDECAR_KIND = defineIstioKind(SIDECAR, { ...NETWORKING_VERSIONS, spec });
