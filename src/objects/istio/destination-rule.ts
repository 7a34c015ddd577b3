import type { SpecObject } from '../meta.ts';
import { DESTINATION_RULE } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { bool, duration, durationOrZero, having, int64, list, map, num, obj, oneOf, req, str, uint, type Infer } from '../schema/dsl.ts';
import {
  clientTls, connectionPool, exportTo, localityLbSetting, outlierDetection, portSelector, workloadSelector, zoneAwareLbSetting, type IstioStatus,
} from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';

const consistentHash = obj({
  httpHeaderName: str(),
  httpCookie: obj({ name: req(str()), path: str(), /** 0s makes a session cookie; absent, no cookie is made. */ ttl: durationOrZero(), attributes: list(obj({ name: req(str()), value: str() })) }),
  useSourceIp: bool(),
  httpQueryParameterName: str(),
  ringHash: obj({ /** Default 1024. */ minimumRingSize: int64({ minimum: 0 }) }),
  maglev: obj({ /** A prime below 5000011. */ tableSize: int64({ minimum: 0 }) }),
  /** Deprecated. */
  minimumRingSize: int64({ minimum: 0 }),
});
export type ConsistentHashLB = Infer<typeof consistentHash>;

const loadBalancer = obj({
  /** Default LEAST_REQUEST. */
  simple: oneOf('UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'),
  consistentHash,
  localityLbSetting,
  zoneAwareLbSetting,
  /** Deprecated. */
  warmupDurationSecs: duration(),
  warmup: obj({ duration: req(duration()), minimumPercent: having(num(), { minimum: 0, maximum: 100, nullable: true }), aggression: having(num(), { minimum: 1, nullable: true }) }),
});
export type LoadBalancerSettings = Infer<typeof loadBalancer>;

const blocks = { loadBalancer, connectionPool, outlierDetection, tls: clientTls };
const portTrafficPolicy = obj({ port: portSelector, ...blocks });
/** Settings of one port: replaces the four blocks. */
export type PortTrafficPolicy = Infer<typeof portTrafficPolicy>;

/** How traffic to a host is handled after routing. */
export const trafficPolicy = obj({
  ...blocks,
  portLevelSettings: list(portTrafficPolicy, {}, { maxItems: 4096 }),
  tunnel: obj({ protocol: str(), targetHost: req(str()), targetPort: req(uint()) }),
  proxyProtocol: obj({ version: oneOf('V1', 'V2') }),
  retryBudget: obj({ percent: having(num(), { minimum: 0, maximum: 100, nullable: true }), minRetryConcurrency: uint(), budgetInterval: durationOrZero() }),
});
export type TrafficPolicy = Infer<typeof trafficPolicy>;

const subset = obj({ name: req(str()), labels: map(str()), trafficPolicy });
/** A named part of a host's endpoints. */
export type Subset = Infer<typeof subset>;

const spec = obj({ host: req(str()), trafficPolicy, subsets: list(subset), exportTo, workloadSelector });
/** @see https://istio.io/latest/docs/reference/config/networking/destination-rule/ */
export type DestinationRuleSpec = Infer<typeof spec>;
export type DestinationRule = SpecObject<DestinationRuleSpec, IstioStatus>;

export const DESTINATION_RULE_KIND = defineIstioKind(DESTINATION_RULE, {
  ...NETWORKING_VERSIONS,
  shortNames: ['dr'],
  spec,
  columns: [{ name: 'Host', type: 'string', jsonPath: '.spec.host', description: 'The name of a service from the service registry' }, AGE],
});
