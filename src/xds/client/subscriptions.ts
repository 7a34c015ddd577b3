/** The client's half of the discovery protocol, without sockets: subscriptions that survive streams. */
import type { EncodedResource, ResourceUpdate, UpdateHandler } from '../ads.ts';
import type { OutgoingRequest, OutgoingResponse } from '../wire.ts';

interface NamedSubscriber {
  readonly names: Set<string>;
  readonly onUpdate: UpdateHandler;
}

interface TypeState {
  readonly typeUrl: string;
  readonly everything: UpdateHandler[];
  readonly named: NamedSubscriber[];
  /** Version of every accepted resource; told to the server on reconnect. */
  readonly versions: Map<string, string>;
  /** Names asked for on this stream. */
  readonly onWire: Set<string>;
  /** A request for this type went out on this stream. */
  asked: boolean;
  nonce: string;
  /** SotW: version of the last accepted response. */
  versionInfo: string;
}

const NONE: ReadonlyMap<string, string> = new Map();

/** What became of a response. */
export interface ResponseOutcome {
  readonly typeUrl: string;
  /** Undefined: accepted. */
  readonly refused: string | undefined;
}

export class Subscriptions {
  private readonly types = new Map<string, TypeState>();
  private send: ((request: OutgoingRequest) => void) | undefined;

  constructor(private readonly mode: 'sotw' | 'delta') {}

  /** A stream is open: asks for everything again, telling what is already here. */
  connected(send: (request: OutgoingRequest) => void): void {
    this.send = send;
    for (const state of this.types.values()) {
      Object.assign(state, { asked: false, nonce: '' });
      state.onWire.clear();
      this.sync(state);
    }
  }

  disconnected(): void {
    this.send = undefined;
  }

  /** Wants every resource of a type. */
  subscribeAll(typeUrl: string, onUpdate: UpdateHandler): void {
    const state = this.stateOf(typeUrl);
    state.everything.push(onUpdate);
    // A second subscriber has nothing yet: the server sends a name that is subscribed again.
    if (state.asked && this.mode === 'delta') this.request(state, { names: ['*'] });
    else this.sync(state);
  }

  /** Wants resources by name; the names are given later. */
  subscribe(typeUrl: string, onUpdate: UpdateHandler): { setNames(names: ReadonlySet<string>): void } {
    const state = this.stateOf(typeUrl);
    const subscriber: NamedSubscriber = { names: new Set(), onUpdate };
    state.named.push(subscriber);
    return {
      setNames: (names) => {
        const fresh = [...names].filter((name) => !subscriber.names.has(name));
        subscriber.names.clear();
        for (const name of names) subscriber.names.add(name);
        this.sync(state, fresh);
      },
    };
  }

  /** Hands a response to the subscribers and answers it: ACK, or NACK when one of them refuses. */
  response(response: OutgoingResponse): ResponseOutcome | undefined {
    const state = this.types.get(response.typeUrl);
    if (!state) return undefined;
    const removed = this.mode === 'sotw' && state.everything.length > 0 ? missingIn(response.resources, state.versions) : response.removed;
    const refused = deliver(state, { updated: response.resources, removed });
    state.nonce = response.nonce;
    if (refused === undefined) {
      for (const resource of response.resources) state.versions.set(resource.name, resource.version);
      for (const name of removed) state.versions.delete(name);
      state.versionInfo = response.version;
    }
    this.answer(state, refused);
    return { typeUrl: response.typeUrl, refused };
  }

  private stateOf(typeUrl: string): TypeState {
    let state = this.types.get(typeUrl);
    if (!state) this.types.set(typeUrl, (state = { typeUrl, everything: [], named: [], versions: new Map(), onWire: new Set(), asked: false, nonce: '', versionInfo: '' }));
    return state;
  }

  /** Makes the wire agree with what the subscribers want. `again`: names a subscriber has just begun to want. */
  private sync(state: TypeState, again: readonly string[] = []): void {
    if (!this.send) return;
    const wanted = new Set(state.named.flatMap((subscriber) => [...subscriber.names]));
    const added = [...wanted].filter((name) => !state.onWire.has(name));
    const dropped = [...state.onWire].filter((name) => !wanted.has(name));
    for (const name of dropped) state.versions.delete(name);
    const first = !state.asked;
    if (first && state.everything.length === 0 && wanted.size === 0) return;
    const repeated = first ? [] : again.filter((name) => state.onWire.has(name) && !added.includes(name));
    if (!first && added.length + dropped.length + repeated.length === 0) return;
    state.onWire.clear();
    for (const name of wanted) state.onWire.add(name);
    if (this.mode === 'sotw') return this.request(state, { names: this.sotwNames(state) });
    const star = first && state.everything.length > 0 && wanted.size > 0 ? ['*'] : [];
    this.request(state, { names: [...star, ...added, ...repeated], unsubscribe: dropped, initialVersions: first ? state.versions : NONE });
  }

  private answer(state: TypeState, refused: string | undefined): void {
    this.request(state, { names: this.mode === 'sotw' ? this.sotwNames(state) : [], responseNonce: state.nonce, ...(refused !== undefined && { error: refused }) });
  }

  private sotwNames(state: TypeState): string[] {
    return state.everything.length > 0 ? [] : [...state.onWire];
  }

  private request(state: TypeState, parts: Partial<OutgoingRequest> & { readonly names: readonly string[] }): void {
    state.asked = true;
    // A SotW request always names the last response; in delta only an answer does.
    const nonce = this.mode === 'sotw' ? state.nonce : '';
    this.send?.({ typeUrl: state.typeUrl, responseNonce: nonce, versionInfo: state.versionInfo, unsubscribe: [], initialVersions: NONE, ...parts });
  }
}

function missingIn(resources: readonly EncodedResource[], known: ReadonlyMap<string, string>): string[] {
  const present = new Set(resources.map((resource) => resource.name));
  return [...known.keys()].filter((name) => !present.has(name));
}

function deliver(state: TypeState, update: ResourceUpdate): string | undefined {
  const refusals: string[] = [];
  const tell = (onUpdate: UpdateHandler, part: ResourceUpdate) => {
    try {
      const refusal = onUpdate(part);
      if (refusal !== undefined) refusals.push(refusal);
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  };
  for (const onUpdate of state.everything) tell(onUpdate, update);
  for (const { names, onUpdate } of state.named) {
    const part = { updated: update.updated.filter((resource) => names.has(resource.name)), removed: update.removed.filter((name) => names.has(name)) };
    if (part.updated.length + part.removed.length > 0) tell(onUpdate, part);
  }
  return refusals.length > 0 ? refusals.join('; ') : undefined;
}
