/** Objects in, snapshots out: debounced rebuilding, and the fast path for endpoints. */
import { parse } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Issue } from '../../base/issue.ts';
import { createLogger } from '../../base/log.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Service } from '../../model/service.ts';
import { endpointsOf, endpointTraits, withEndpoints, type MeshSnapshot } from '../../model/snapshot.ts';
import { selects } from '../../model/workload.ts';
import type { KubeObject } from '../../objects/meta.ts';
import type { StatusUpdate } from '../../resolve/gateway-api/convert.ts';
import type { GatewayApiFeatures } from '../../resolve/gateway-api/features.ts';
import { ResolveMemo } from '../../resolve/memo.ts';
import { groupByHostname, resolve, resolveEndpoints } from '../../resolve/resolve.ts';
import { wantedKeySets } from '../../resolve/request-authentication.ts';
import { envoyFilterIssues } from '../../translate/envoy-filter/issues.ts';
import { Debounce } from './debounce.ts';
import { HoldBack } from './hold-back.ts';
import type { KeySets } from './key-sets.ts';
import type { ObjectChange, ObjectSource } from './object-source.ts';

const log = createLogger('model');

/** Istio's debounce (`PILOT_DEBOUNCE_AFTER`, `PILOT_DEBOUNCE_MAX`). */
const QUIET_MS = 100;
const MAX_MS = 10_000;
/** Endpoint changes wait only for their neighbours in the same burst. */
const ENDPOINT_QUIET_MS = 10;
const ENDPOINT_MAX_MS = 50;

/** A new state of the mesh that proxies may have to hear of. */
export interface MeshUpdate {
  readonly snapshot: MeshSnapshot;
  readonly version: string;
  /** Undefined: anything may have changed. Else only endpoints of these services (`namespace/hostname`) did. */
  readonly endpointsOf: ReadonlySet<string> | undefined;
  /** Addresses that came to or left services which do not select them: proxies there may serve other ports than before. */
  readonly addresses: ReadonlySet<string>;
  /** When the first change behind this update arrived, epoch ms. */
  readonly sinceMs: number;
  readonly changeCount: number;
  /** Time `resolve` took; 0 on the fast path. */
  readonly resolveMs: number;
}

export interface MeshEngineOptions {
  readonly source: ObjectSource;
  readonly domainSuffix: string;
  readonly clusterId: string;
  readonly rootNamespace: string;
  readonly clock: Clock;
  readonly gatewayApi?: GatewayApiFeatures;
  /** CUSTOM policies of one workload may name several authorizers; asked for every snapshot. Default: they may not. */
  readonly severalAuthorizers?: () => boolean;
  readonly onUpdate: (update: MeshUpdate) => void;
  /** The status that objects should have; called after every full rebuild, when {@link onUpdate} has been. */
  readonly onStatuses?: (statuses: readonly StatusUpdate[]) => void;
  /** Called for every change, before debouncing. */
  readonly onChange?: (change: ObjectChange) => void;
  /** How long a VirtualService waits for a subset it names; 0 = not at all. Default {@link HOLD_BACK_MS}. */
  readonly holdBackMs?: () => number;
  /** Who fetches the key sets that policies ask for. Undefined: nobody, as in tests. */
  readonly keySets?: () => Pick<KeySets, 'want' | 'current'>;
}

export class MeshEngine {
  private current: MeshSnapshot | undefined;
  private currentVersion = '';
  private currentIssues: readonly Issue[] = [];
  private updateNumber = 0;
  private readonly full: Debounce;
  private readonly fast: Debounce;
  private readonly changedServices = new Set<string>();
  private readonly memo = new ResolveMemo();
  private readonly holdBack: HoldBack;
  private meshConfigText: string | undefined;
  private meshConfigValue: unknown;

  constructor(private readonly options: MeshEngineOptions) {
    const { clock } = options;
    this.full = new Debounce({ clock, quietMs: QUIET_MS, maxMs: MAX_MS, act: (sinceMs, count) => this.rebuild(sinceMs, count) });
    this.holdBack = new HoldBack(clock, () => this.refresh(), options.holdBackMs);
    this.fast = new Debounce({ clock, quietMs: ENDPOINT_QUIET_MS, maxMs: ENDPOINT_MAX_MS, act: (sinceMs, count) => this.updateEndpoints(sinceMs, count) });
  }

  /** Resolves when the first snapshot is there. */
  async start(): Promise<void> {
    const { source, clock } = this.options;
    await source.synced;
    source.onChange((change) => this.changed(change));
    this.rebuild(clock.now(), 0);
  }

  /** Throws before {@link start} has resolved. */
  get snapshot(): MeshSnapshot {
    if (!this.current) throw new Error('the mesh is not resolved yet');
    return this.current;
  }

  get ready(): boolean {
    return this.current !== undefined;
  }

  get version(): string {
    return this.currentVersion;
  }

  /** What is wrong with the objects of the present snapshot. */
  get issues(): readonly Issue[] {
    return this.currentIssues;
  }

  /** Resolves everything once more: something changed that the source did not tell. */
  refresh(): void {
    if (this.ready) this.full.trigger();
  }

  private changed(change: ObjectChange): void {
    this.options.onChange?.(change);
    const service = change.object.kind === 'EndpointSlice' ? change.object.metadata.labels?.['kubernetes.io/service-name'] : undefined;
    // While a rebuild waits, the fast path could name endpoints whose pods the snapshot does not know yet.
    if (service === undefined || this.full.pending) return this.full.trigger();
    this.changedServices.add(`${change.object.metadata.namespace ?? ''}/${service}`);
    this.fast.trigger();
  }

  private rebuild(sinceMs: number, changeCount: number): void {
    const { source, clock, domainSuffix, clusterId, rootNamespace, gatewayApi, severalAuthorizers } = this.options;
    this.changedServices.clear();
    const startMs = clock.now();
    try {
      const keySets = this.options.keySets?.();
      keySets?.want(wantedKeySets(source.objects()));
      const resolved = (objects: Iterable<KubeObject>) => resolve({ objects, meshConfig: this.meshConfig(), domainSuffix, clusterId, rootNamespace, gatewayApi, severalAuthorizers: severalAuthorizers?.(), previous: this.current, keySets: keySets?.current, memo: this.memo });
      const { issues, statuses, snapshot: whole } = resolved(source.objects());
      const instead = this.holdBack.instead(source.objects(), issues);
      const snapshot = instead ? resolved(instead).snapshot : whole;
      const all = [...issues, ...envoyFilterIssues(snapshot.envoyFilters)];
      this.tellNewIssues(all);
      this.currentIssues = all;
      this.publish(keepEqual(this.current, snapshot), { endpointsOf: undefined, addresses: new Set(), sinceMs, changeCount, resolveMs: clock.now() - startMs });
      this.options.onStatuses?.(statuses);
    } catch (error) {
      // A bug of ours must not take the mesh down: proxies keep what they have.
      log.error('the mesh could not be resolved; the last snapshot stays', { error: error instanceof Error ? (error.stack ?? error.message) : messageOf(error) });
    }
  }

  private updateEndpoints(sinceMs: number, changeCount: number): void {
    const names = [...this.changedServices];
    this.changedServices.clear();
    if (!this.current || names.length === 0) return;
    let snapshot = this.current;
    const keys = new Set<string>();
    const addresses = new Set<string>();
    let onlyEndpoints = true;
    for (const name of names) {
      const [namespace = '', service = ''] = name.split('/');
      const slices = this.options.source.slicesOf(namespace, service);
      const resolved = resolveEndpoints(snapshot, namespace, service, slices);
      if (!resolved || !knowsPods(snapshot, slices)) return this.full.trigger();
      if (leadsToGateway(snapshot, resolved.service) && isReady(resolved.endpoints) !== isReady(snapshot.endpoints.get(resolved.service.key))) return this.full.trigger();
      const next = withEndpoints(snapshot, resolved.service.key, resolved.endpoints);
      onlyEndpoints &&= endpointTraits(snapshot, resolved.service) === endpointTraits(next, resolved.service);
      for (const address of strayAddresses(snapshot, next, resolved.service)) addresses.add(address);
      snapshot = next;
      keys.add(resolved.service.key);
    }
    this.publish(snapshot, { endpointsOf: onlyEndpoints ? keys : undefined, addresses, sinceMs, changeCount, resolveMs: 0 });
  }

  private publish(snapshot: MeshSnapshot, rest: Omit<MeshUpdate, 'snapshot' | 'version'>): void {
    this.current = snapshot;
    this.currentVersion = `${new Date(this.options.clock.now()).toISOString()}/${++this.updateNumber}`;
    this.options.onUpdate({ snapshot, version: this.currentVersion, ...rest });
  }

  private meshConfig(): unknown {
    const text = this.options.source.meshConfigText();
    if (text === this.meshConfigText) return this.meshConfigValue;
    this.meshConfigText = text;
    try {
      this.meshConfigValue = text === undefined ? undefined : parse(text);
    } catch (error) {
      log.error('the mesh config is not YAML; the last good one stays', { error: messageOf(error) });
    }
    return this.meshConfigValue;
  }

  private tellNewIssues(issues: readonly Issue[]): void {
    const textOf = (issue: Issue) => `${issue.code} ${issue.object.kind} ${issue.object.namespace ?? ''}/${issue.object.name} ${issue.message}`;
    const known = new Set(this.currentIssues.map(textOf));
    for (const issue of issues) if (issue.severity === 'error' && !known.has(textOf(issue))) log.warn('object is wrong', { issue: textOf(issue) });
  }
}

/** Slices and pods come by different watches: an address whose pod is not known yet would be taken for one outside of the mesh. */
function knowsPods(snapshot: MeshSnapshot, slices: readonly KubeObject[]): boolean {
  type Slice = KubeObject & { readonly endpoints?: readonly { readonly addresses?: readonly string[]; readonly targetRef?: { readonly kind?: string } }[] };
  return slices.every((slice) => ((slice as Slice).endpoints ?? []).every((endpoint) => endpoint.targetRef?.kind !== 'Pod' || (endpoint.addresses ?? []).every((address) => snapshot.workloads.has(address))));
}

/** Addresses whose ports differ between both, as far as the service does not select the pods there by label: those make inbound ports by being listed. */
function strayAddresses(before: MeshSnapshot, after: MeshSnapshot, service: Service): ReadonlySet<string> {
  const ports = (snapshot: MeshSnapshot) => new Map(endpointsOf(snapshot, service).filter(({ address }) => {
    const workload = snapshot.workloads.get(address);
    return !workload || Object.keys(service.selector).length === 0 || !selects(service.selector, workload.labels);
  }).map((endpoint) => [`${endpoint.address} ${endpoint.port} ${endpoint.portName}`, endpoint.address]));
  const [old, now] = [ports(before), ports(after)];
  return new Set([...[...old].filter(([key]) => !now.has(key)), ...[...now].filter(([key]) => !old.has(key))].map(([, address]) => address));
}

/** Whether a Gateway (Gateway API) is programmed depends on the endpoints of its Services. */
function leadsToGateway(snapshot: MeshSnapshot, service: Service): boolean {
  return snapshot.gateways.some((gateway) => gateway.generated && gateway.services.includes(service.hostname));
}

const isReady = (endpoints: readonly Endpoint[] = []): boolean => endpoints.some(({ health }) => health === 'healthy');

/** Lists whose parts a mesh is resolved from again, but mostly the same. */
const LISTS = ['virtualServices', 'destinationRules', 'gateways', 'peerAuthentications', 'requestAuthentications', 'authorizationPolicies', 'sidecars', 'envoyFilters'] as const;

/** Takes over from the old snapshot what is equal, so that what is made of it can be kept by identity. */
function keepEqual(old: MeshSnapshot | undefined, fresh: MeshSnapshot): MeshSnapshot {
  if (!old) return fresh;
  const before = new Map(old.services.map((service) => [service.key, service]));
  const services = keepList(old.services, fresh.services.map((service) => (before.get(service.key)?.digest === service.digest ? before.get(service.key)! : service)));
  const lists = Object.fromEntries(LISTS.map((name) => [name, keepList<object>(old[name], fresh[name])])) as Pick<MeshSnapshot, (typeof LISTS)[number]>;
  const servicesByHostname = services === old.services ? old.servicesByHostname : groupByHostname(services);
  return { ...fresh, ...lists, services, servicesByHostname, mesh: old.mesh.digest === fresh.mesh.digest ? old.mesh : fresh.mesh, endpoints: keepEndpoints(old.endpoints, fresh.endpoints) };
}

function keepList<T>(old: readonly T[], fresh: readonly T[]): readonly T[] {
  return old.length === fresh.length && old.every((value, index) => value === fresh[index]) ? old : fresh;
}

function keepEndpoints(old: MeshSnapshot['endpoints'], fresh: MeshSnapshot['endpoints']): MeshSnapshot['endpoints'] {
  const endpoints = new Map(fresh);
  let isSame = old.size === fresh.size;
  for (const [key, list] of fresh) {
    const before = old.get(key);
    if (before && (before === list || (before.length === list.length && JSON.stringify(before) === JSON.stringify(list)))) endpoints.set(key, before);
    else isSame = false;
  }
  return isSame ? old : endpoints;
}
