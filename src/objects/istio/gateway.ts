import type { SpecObject } from '../meta.ts';
import { GATEWAY } from '../resource-types.ts';
import { list, map, obj, req, str, uint, type Infer } from '../schema/dsl.ts';
import { serverTls, type IstioStatus } from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';

/** A port of a gateway or sidecar listener. */
export const port = obj({ number: req(uint()), protocol: req(str()), name: req(str()), /** Deprecated. */ targetPort: uint() });
/** A port of a gateway or sidecar listener. */
export type Port = Infer<typeof port>;

const server = obj({
  port: req(port),
  /** An address or `unix://` path; default 0.0.0.0. */
  bind: str(),
  /** `[namespace/]name`. */
  hosts: req(list(str())),
  tls: serverTls,
  /** Not implemented by Istio. */
  defaultEndpoint: str(),
  name: str(),
});
/** One listener of a gateway. @see https://istio.io/latest/docs/reference/config/networking/gateway/#Server */
export type Server = Infer<typeof server>;

const spec = obj({ servers: list(server), selector: map(str()) });
/** @see https://istio.io/latest/docs/reference/config/networking/gateway/ */
export type GatewaySpec = Infer<typeof spec>;
export type Gateway = SpecObject<GatewaySpec, IstioStatus>;

export const GATEWAY_KIND = defineIstioKind(GATEWAY, { ...NETWORKING_VERSIONS, shortNames: ['gw'], spec });
