/**
 * The discovery protocol for one stream, without sockets: requests and views in, responses out. SotW and delta.
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
 */
import { TYPE_URL, type EncodedResource } from '../ads.ts';
import { NewClusters } from './new-clusters.ts';
import { mayBeWildcard, TypeSubscription, type Difference, type Nack, type ResourceSet } from './type-subscription.ts';

/** Everything a proxy may be given, at one moment. A view is immutable: a change is another view. */
export interface ResourceView {
  /** Version text of the push (`2026-01-01T00:00:00Z/12`); goes out as version_info. */
  readonly version: string;
  /** Resources of a type. When a type did not change between two views, returning the same set makes the comparison free. */
  resources(typeUrl: string): ResourceSet;
}

export interface SotwRequest {
  readonly kind: 'sotw';
  readonly typeUrl: string;
  readonly names: readonly string[];
  readonly responseNonce: string;
  /** The client refuses the response with that nonce. */
  readonly error?: string;
}

export interface DeltaRequest {
  readonly kind: 'delta';
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: ReadonlyMap<string, string>;
  readonly responseNonce: string;
  readonly error?: string;
}

export type Command =
  | { readonly kind: 'respond'; readonly typeUrl: string; readonly nonce: string; readonly version: string; readonly resources: readonly EncodedResource[]; readonly removed: readonly string[] }
  | { readonly kind: 'acked'; readonly typeUrl: string; readonly nonce: string }
  | { readonly kind: 'nacked'; readonly typeUrl: string; readonly nonce: string; readonly message: string }
  | { readonly kind: 'expired-nonce'; readonly typeUrl: string; readonly nonce: string }
  /** The client broke the protocol so that the stream must end. */
  | { readonly kind: 'refuse'; readonly message: string };

/** Istio's words for how far a client is with one type. */
export type SyncStatus = 'SYNCED' | 'NOT_SENT' | 'STALE' | 'ERROR';

export interface TypeStatus {
  readonly typeUrl: string;
  readonly status: SyncStatus;
  readonly wildcard: boolean;
  readonly names: ReadonlySet<string>;
  /** Resources the client holds, as far as we sent them. */
  readonly resourceCount: number;
  readonly nonceSent: string;
  readonly nonceAcked: string;
  readonly nack: Nack | undefined;
}

/** Clusters before endpoints, listeners and routes, so that nothing points at what the proxy does not have yet. */
const PUSH_ORDER: readonly string[] = [TYPE_URL.cluster, TYPE_URL.endpoint, TYPE_URL.extensionConfig, TYPE_URL.listener, TYPE_URL.route, TYPE_URL.secret, TYPE_URL.nameTable];

/** What points at clusters. */
const AFTER_CLUSTERS: ReadonlySet<string> = new Set([TYPE_URL.listener, TYPE_URL.route]);

/** A client that asks for more names or types than this is broken or hostile. */
const MAX_NAMES = 200_000;
const MAX_TYPES = 32;

export class DiscoverySession {
  private readonly types = new Map<string, TypeSubscription>();
  private view: ResourceView | undefined;
  /** Clusters sent on this stream before the client named its endpoints. */
  private readonly warming = new Set<string>();
  private readonly newClusters = new NewClusters();

  constructor(
    private readonly mode: 'sotw' | 'delta',
    private readonly nextNonce: () => string,
  ) {}

  /** Takes one request of the client. Nothing is sent before the first {@link setView}. */
  request(request: SotwRequest | DeltaRequest): Command[] {
    const commands: Command[] = [];
    let state = this.types.get(request.typeUrl);
    const isNew = !state;
    if (!state) {
      if (this.types.size >= MAX_TYPES) return [{ kind: 'refuse', message: `more than ${MAX_TYPES} resource types on one stream` }];
      this.types.set(request.typeUrl, (state = new TypeSubscription(request.typeUrl, this.mode)));
    }
    const stale = !this.takeAnswer(state, request, isNew, commands);
    if (request.kind === 'delta') takeDeltaNames(state, request, isNew);
    else if (!stale) takeSotwNames(state, request, isNew);
    // A reconnecting client names its endpoints after its clusters and may call them known although a changed cluster now waits for them.
    if (isNew && request.typeUrl === TYPE_URL.endpoint) state.forceIfHeld([...this.warming]);
    if (state.names.size > MAX_NAMES) return [{ kind: 'refuse', message: `more than ${MAX_NAMES} names in one subscription` }];
    return [...commands, ...this.flush()];
  }

  /** Takes the newest configuration. Types whose last response is still unanswered wait for the answer and then jump to the newest view. */
  setView(view: ResourceView): Command[] {
    this.view = view;
    return this.flush();
  }

  /** How far the client is, a row per type it asked for. */
  status(): TypeStatus[] {
    return [...this.types.values()].map((state) => ({
      typeUrl: state.typeUrl,
      status: statusOf(state),
      wildcard: state.wildcard,
      names: state.names,
      resourceCount: state.heldCount,
      nonceSent: state.lastSentNonce,
      nonceAcked: state.lastAckedNonce,
      nack: state.nack,
    }));
  }

  /** Handles ACK and NACK. False when the request answers a response that is not the last one. */
  private takeAnswer(state: TypeSubscription, request: SotwRequest | DeltaRequest, isNew: boolean, commands: Command[]): boolean {
    const { typeUrl, responseNonce: nonce, error } = request;
    // A nonce on a type's first request is one of an earlier stream.
    if (isNew || nonce === '') return true;
    if (nonce !== state.lastSentNonce) {
      commands.push({ kind: 'expired-nonce', typeUrl, nonce });
      return false;
    }
    if (state.awaiting === nonce) {
      state.answered(nonce, error);
      commands.push(error === undefined ? { kind: 'acked', typeUrl, nonce } : { kind: 'nacked', typeUrl, nonce, message: error });
    }
    return true;
  }

  private flush(): Command[] {
    const { view } = this;
    if (!view) return [];
    const commands: Command[] = [];
    const others = [...this.types.keys()].filter((typeUrl) => !PUSH_ORDER.includes(typeUrl));
    for (const typeUrl of [...PUSH_ORDER, ...others]) {
      const state = this.types.get(typeUrl);
      if (!state || state.awaiting !== undefined) continue;
      if (AFTER_CLUSTERS.has(typeUrl) && state.heldCount > 0 && this.newClusters.block(this.types.get(TYPE_URL.cluster), this.types.get(TYPE_URL.endpoint))) continue;
      const difference = state.difference(view.resources(typeUrl), () => typeUrl === TYPE_URL.cluster && this.routesAreBehind(view));
      if (difference) commands.push(this.respond(state, view.version, difference));
    }
    return commands;
  }

  private respond(state: TypeSubscription, version: string, difference: Difference): Command {
    const nonce = this.nextNonce();
    // A changed cluster warms up again and needs its endpoints, also when they are the same.
    if (state.typeUrl === TYPE_URL.cluster) {
      const endpoints = this.types.get(TYPE_URL.endpoint);
      if (endpoints) endpoints.forceIfHeld(difference.changed);
      else for (const name of difference.changed) this.warming.add(name);
      this.newClusters.sent(difference.added);
    }
    state.sent(nonce, difference);
    return { kind: 'respond', typeUrl: state.typeUrl, nonce, version, resources: difference.resources, removed: this.mode === 'delta' ? difference.removed : [] };
  }

  /** Break after make: clusters stay while listeners or routes that may still use them are not replaced and answered. */
  private routesAreBehind(view: ResourceView): boolean {
    return [TYPE_URL.listener, TYPE_URL.route].some((typeUrl) => {
      const state = this.types.get(typeUrl);
      return state !== undefined && (state.awaiting !== undefined || state.difference(view.resources(typeUrl), () => false) !== undefined);
    });
  }
}

function takeDeltaNames(state: TypeSubscription, request: DeltaRequest, isNew: boolean): void {
  if (isNew) {
    state.wildcard = mayBeWildcard(request.typeUrl) && request.subscribe.length === 0;
    state.restart(request.initialVersions);
  }
  for (const name of request.unsubscribe) state.drop(name);
  for (const name of request.subscribe) state.add(name, !(isNew && request.initialVersions.has(name)));
}

function takeSotwNames(state: TypeSubscription, request: SotwRequest, isNew: boolean): void {
  const restarts = isNew || request.responseNonce === '';
  const wildcard = mayBeWildcard(request.typeUrl) && (request.names.includes('*') || (request.names.length === 0 && (restarts || state.wildcard)));
  if (wildcard && !state.wildcard) state.add('*', false);
  if (!wildcard && state.wildcard) state.drop('*');
  state.setNames(request.names.includes('*') ? request.names.filter((name) => name !== '*') : request.names);
  if (restarts) state.restart(new Map());
}

function statusOf(state: TypeSubscription): SyncStatus {
  if (state.nack) return 'ERROR';
  // A reconnected client that has everything already is sent nothing.
  if (state.lastSentNonce === '') return state.heldCount > 0 ? 'SYNCED' : 'NOT_SENT';
  return state.lastSentNonce === state.lastAckedNonce ? 'SYNCED' : 'STALE';
}
