/** From a profile name and `--set` flags to one effective IstioOperator spec. */
import type { Issue } from '../base/issue.ts';
import { mergeValues, parseSet, setValue, type Values } from './values.ts';

export interface GatewayComponent {
  readonly name: string;
  readonly enabled: boolean;
  /** Labels of the gateway pods, what a Gateway's selector selects. */
  readonly label?: Readonly<Record<string, string>>;
}

/** The part of `IstioOperatorSpec` that the installer acts on. @see https://istio.io/latest/docs/reference/config/istio.operator.v1alpha1/ */
export interface OperatorSpec {
  readonly profile: string;
  readonly hub?: string;
  readonly tag?: string;
  readonly namespace?: string;
  readonly revision?: string;
  readonly meshConfig: Values;
  readonly components: {
    readonly base: { readonly enabled: boolean };
    readonly pilot: { readonly enabled: boolean };
    readonly ingressGateways: readonly GatewayComponent[];
    readonly egressGateways: readonly GatewayComponent[];
  };
  readonly values: Values;
}

const INGRESS = { name: 'istio-ingressgateway', enabled: true };
const EGRESS = { name: 'istio-egressgateway', enabled: false };

const DEFAULT: OperatorSpec = {
  profile: 'default',
  meshConfig: { defaultConfig: { discoveryAddress: 'istiod.istio-system.svc:15012', proxyMetadata: {} }, defaultProviders: { metrics: ['prometheus'] }, enablePrometheusMerge: true, rootNamespace: 'istio-system', trustDomain: 'cluster.local' },
  components: { base: { enabled: true }, pilot: { enabled: true }, ingressGateways: [INGRESS], egressGateways: [EGRESS] },
  values: {},
};

/** Profiles as differences from nothing; each row says what the profile is for. */
const PROFILES: Readonly<Record<string, OperatorSpec>> = {
  // istiod and an ingress gateway: production's starting point.
  default: DEFAULT,
  // Everything a lesson needs: both gateways, every request logged and traced, small resource requests.
  demo: {
    ...DEFAULT,
    profile: 'demo',
    meshConfig: mergeValues(DEFAULT.meshConfig, { accessLogFile: '/dev/stdout', defaultConfig: { tracing: { sampling: 100 } } }),
    components: { ...DEFAULT.components, egressGateways: [{ ...EGRESS, enabled: true }] },
    values: { global: { proxy: { resources: { requests: { cpu: '10m', memory: '40Mi' } } } } },
  },
  // Only istiod.
  minimal: { ...DEFAULT, profile: 'minimal', components: { ...DEFAULT.components, ingressGateways: [{ ...INGRESS, enabled: false }] } },
  // Nothing, to build up from.
  empty: { ...DEFAULT, profile: 'empty', components: { base: { enabled: false }, pilot: { enabled: false }, ingressGateways: [], egressGateways: [] } },
};

export const PROFILE_NAMES: readonly string[] = Object.keys(PROFILES);

const CHANGEABLE = new Set(['profile', 'hub', 'tag', 'namespace', 'revision', 'meshConfig', 'components', 'values']);

export type OperatorResult = { readonly spec: OperatorSpec } | { readonly issues: readonly Issue[] };

/**
 * Applies `--set` texts in order on top of the profile they name (`profile=demo`; default `default`) and of an IstioOperator document's spec.
 * Unknown profiles and top-level keys come back as issues.
 */
export function operatorSpec(sets: readonly string[], document: Values = {}): OperatorResult {
  const issues: Issue[] = [];
  const refuse = (path: string, message: string, fix: string) => issues.push({ severity: 'error', code: 'MLT0001', object: { kind: 'IstioOperator', name: 'installed-state' }, path, message, fix });
  let overlay: Values = document;
  for (const text of sets) {
    const parsed = parseSet(text);
    if ('error' in parsed) refuse('', parsed.error, 'see meltemi install --help');
    else overlay = setValue(overlay, parsed.path, parsed.value);
  }
  for (const key of Object.keys(overlay)) if (!CHANGEABLE.has(key)) refuse(key, `unknown key "${key}"`, `one of ${[...CHANGEABLE].join(', ')}`);
  const profile = typeof overlay['profile'] === 'string' ? overlay['profile'] : 'default';
  if (!Object.hasOwn(PROFILES, profile)) refuse('profile', `unknown profile "${profile}"`, `one of ${PROFILE_NAMES.join(', ')}`);
  if (issues.length > 0) return { issues };
  const merged = mergeValues(PROFILES[profile] as unknown as Values, overlay) as unknown as OperatorSpec;
  const { components } = merged;
  return { spec: { ...merged, components: { ...components, ingressGateways: named(components.ingressGateways, INGRESS.name), egressGateways: named(components.egressGateways, EGRESS.name) } } };
}

/** A gateway written without a name gets the usual one; without `enabled` it counts as given, hence enabled. */
function named(gateways: readonly Partial<GatewayComponent>[], name: string): readonly GatewayComponent[] {
  return gateways.map((gateway) => ({ ...gateway, name: gateway.name ?? name, enabled: gateway.enabled ?? true }));
}
