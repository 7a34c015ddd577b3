import { selects } from './workload.ts';

export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

export interface PeerAuthentication {
  readonly kind: 'peer-authentication';
  readonly name: string;
  readonly namespace: string;
  /** Undefined = the whole namespace (or mesh, in the root namespace). */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Undefined = UNSET: inherits. */
  readonly mode: MtlsMode | undefined;
  /** Workload port → mode (undefined = UNSET: the workload's mode). */
  readonly portLevel: ReadonlyMap<number, MtlsMode | undefined>;
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}

/** What a workload demands of its clients: one mode, and others for some ports. */
export interface EffectiveMtls {
  readonly mode: MtlsMode;
  readonly ports: ReadonlyMap<number, MtlsMode>;
  /** Digests of the policies it came from. */
  readonly digests: readonly string[];
}

/**
 * Workload over namespace over mesh policy; the oldest wins inside a scope, UNSET inherits, and nothing means PERMISSIVE. Policies with a selector in
 * the root namespace do not count. `policies` must be sorted oldest first.
 * @see https://istio.io/latest/docs/reference/config/security/peer_authentication/
 */
export function effectiveMtls(policies: readonly PeerAuthentication[], rootNamespace: string, namespace: string, labels: Readonly<Record<string, string>> | undefined): EffectiveMtls {
  const scoped = (want: string) => policies.find((policy) => policy.namespace === want && !policy.selector);
  const mesh = scoped(rootNamespace);
  const ofNamespace = namespace === rootNamespace ? undefined : scoped(namespace);
  const workload = labels && policies.find((policy) => policy.namespace === namespace && namespace !== rootNamespace && policy.selector && selects(policy.selector, labels));
  const inherited = ofNamespace?.mode ?? mesh?.mode ?? 'PERMISSIVE';
  const mode = workload?.mode ?? inherited;
  const ports = new Map<number, MtlsMode>();
  for (const [port, portMode] of workload?.portLevel ?? []) ports.set(port, portMode ?? mode);
  return { mode, ports, digests: [mesh, ofNamespace, workload || undefined].flatMap((policy) => (policy ? [policy.digest] : [])) };
}

/** Policies of the mesh and of one namespace, when some of them turn mutual TLS off: then clients have to look at each endpoint. Else none. */
export function policiesWithout(policies: readonly PeerAuthentication[], rootNamespace: string, namespace: string): readonly PeerAuthentication[] {
  const inScope = policies.filter((policy) => policy.namespace === namespace || (policy.namespace === rootNamespace && !policy.selector));
  return inScope.some((policy) => policy.mode === 'DISABLE' || [...policy.portLevel.values()].includes('DISABLE')) ? inScope : [];
}
