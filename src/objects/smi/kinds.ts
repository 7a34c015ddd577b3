/** Kinds of the Service Mesh Interface. @see https://github.com/servicemeshinterface/smi-spec */
import type { KindInfo } from '../kind.ts';
import type { SpecObject } from '../meta.ts';
import { SMI_HTTP_ROUTE_GROUP, SMI_TCP_ROUTE, SMI_UDP_ROUTE, TRAFFIC_SPLIT, TRAFFIC_TARGET } from '../resource-types.ts';
import { AGE, defineKind } from '../schema/define-kind.ts';
import { int, intOrString, list, map, obj, req, str, type Infer } from '../schema/dsl.ts';

const VERSIONS = ['v1alpha4', 'v1alpha3', 'v1alpha2', 'v1alpha1'];
const facts = { custom: true, categories: ['smi'], columns: [AGE] };

const splitSpec = obj({
  /** The service clients call. */
  service: req(str()),
  /** HTTPRouteGroups that say which requests are split; absent: all. */
  matches: list(obj({ kind: str(), name: req(str()), apiGroup: str() })),
  /** Weights are shares; in v1alpha1 quantities (`900m`). */
  backends: req(list(obj({ service: req(str()), weight: intOrString() }))),
});
export type TrafficSplit = SpecObject<Infer<typeof splitSpec>>;
export const TRAFFIC_SPLIT_KIND = defineKind(TRAFFIC_SPLIT, {
  ...facts, versions: VERSIONS, shortNames: ['ts'], fields: { spec: splitSpec },
  columns: [{ name: 'Service', type: 'string', jsonPath: '.spec.service', description: 'The apex service of this split.' }, AGE],
});

const routeMatches = list(obj({ name: req(str()), pathRegex: str(), methods: list(str()), headers: map(str()) }));
/** Until v1alpha2 `matches` stands beside metadata. */
export interface HTTPRouteGroup extends SpecObject<{ readonly matches?: Infer<typeof routeMatches> } | undefined> {
  readonly matches?: Infer<typeof routeMatches>;
}
export const HTTP_ROUTE_GROUP_KIND = defineKind(SMI_HTTP_ROUTE_GROUP, { ...facts, versions: VERSIONS, shortNames: ['htr'], fields: { spec: obj({ matches: routeMatches }), matches: routeMatches } });

const ports = obj({ matches: obj({ name: str(), ports: list(int()) }) });
export const SMI_TCP_ROUTE_KIND = defineKind(SMI_TCP_ROUTE, { ...facts, versions: VERSIONS, shortNames: ['tr'], fields: { spec: ports } });
export const SMI_UDP_ROUTE_KIND = defineKind(SMI_UDP_ROUTE, { ...facts, versions: ['v1alpha4'], fields: { spec: ports } });

const account = obj({ kind: str(), name: req(str()), namespace: str(), port: intOrString() });
const rules = list(obj({ kind: str(), name: req(str()), matches: list(str()) }));
const targetSpec = obj({ destination: account, rules, sources: list(account) });
/** Until v1alpha1 everything stands beside metadata, and rules are `specs`. */
export interface TrafficTarget extends SpecObject<Infer<typeof targetSpec> | undefined> {
  readonly destination?: Infer<typeof account>;
  readonly specs?: Infer<typeof rules>;
  readonly sources?: readonly Infer<typeof account>[];
}
export const TRAFFIC_TARGET_KIND = defineKind(TRAFFIC_TARGET, {
  ...facts, versions: ['v1alpha3', 'v1alpha2', 'v1alpha1'], shortNames: ['tt'], fields: { spec: targetSpec, destination: account, specs: rules, sources: list(account) },
});

/** Served as custom resources. */
export const SMI_KINDS: readonly KindInfo[] = [TRAFFIC_SPLIT_KIND, HTTP_ROUTE_GROUP_KIND, SMI_TCP_ROUTE_KIND, SMI_UDP_ROUTE_KIND, TRAFFIC_TARGET_KIND];
