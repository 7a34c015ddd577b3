/** What one client is subscribed to of one resource type, what it has got, and what it must be told next. Pure. */
import { TYPE_URL, type EncodedResource } from '../ads.ts';

/** Types whose empty subscription means everything. The others are always asked for by name. @see https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (wildcard) */
const NAMED_TYPES: ReadonlySet<string> = new Set([TYPE_URL.endpoint, TYPE_URL.route, TYPE_URL.secret, TYPE_URL.extensionConfig]);

/** Types whose SotW response is the whole truth: what is missing in it is gone. */
const FULL_STATE_TYPES: ReadonlySet<string> = new Set([TYPE_URL.cluster, TYPE_URL.listener]);

/** The resources of one type that a client may have. A `Map` is one; a source may also make a named resource when it is asked for. */
export interface ResourceSet {
  get(name: string): EncodedResource | undefined;
  /** All of them; asked only for types with a wildcard subscription. */
  values(): Iterable<EncodedResource>;
  /** Names whose resource may be another one than in `older`, or may be there in one of both only. Undefined: not known, all must be compared. */
  changesFrom?(older: ResourceSet): ReadonlySet<string> | undefined;
}

/** True for types that have a wildcard subscription. */
export function mayBeWildcard(typeUrl: string): boolean {
  return !NAMED_TYPES.has(typeUrl);
}

/** What the client has of one resource: the resource itself, or only its version when a reconnecting client told us, or `absent` when it was told that there is none. */
type Held = EncodedResource | { readonly version: string };

const ABSENT: Held = { version: '' };

/** The answer to "what must this client be told now". */
export interface Difference {
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
  /** Names in `resources` whose bytes differ from what the client had. */
  readonly changed: readonly string[];
  /** Those of `resources` that the client does not have in any version. */
  readonly added: readonly EncodedResource[];
  /** What the client agrees with when it has taken this; undefined while removals are put off. */
  readonly agrees: ResourceSet | undefined;
}

const MAX_SHARED_NAMES = 100_000;
const sharedNames = new Map<string, string>();

/** A thousand proxies that name the same thousand clusters need a thousand strings, not a million. */
function sharedName(name: string): string {
  const known = sharedNames.get(name);
  if (known !== undefined) return known;
  if (sharedNames.size >= MAX_SHARED_NAMES) sharedNames.clear();
  sharedNames.set(name, name);
  return name;
}

/** A refused response, as the client explained it. */
export interface Nack {
  readonly nonce: string;
  readonly message: string;
}

export class TypeSubscription {
  wildcard = false;
  readonly names = new Set<string>();
  /** Nonce of the response that the client has neither accepted nor refused yet. */
  awaiting: string | undefined;
  lastSentNonce = '';
  lastAckedNonce = '';
  /** The last response was refused; cleared by the next ACK. */
  nack: Nack | undefined;
  private held = new Map<string, Held>();
  private readonly forced = new Set<string>();
  private answerDue = false;
  /** The list that gave the names, while nothing else changed them. */
  private namedBy: readonly string[] | undefined;
  /** The client has all of this that it is subscribed to, and nothing else but what was forced. */
  private seen: ResourceSet | undefined;

  constructor(
    readonly typeUrl: string,
    private readonly mode: 'sotw' | 'delta',
  ) {}

  /** Number of resources the client holds. */
  get heldCount(): number {
    return this.held.size;
  }

  /** Forgets what the client has (it starts anew) and promises an answer, also an empty one, to a wildcard subscription. */
  restart(initialVersions: ReadonlyMap<string, string>): void {
    this.held = new Map([...initialVersions].map(([name, version]) => [name, { version }]));
    this.answerDue = this.wildcard;
    this.seen = undefined;
  }

  /** Adds a name; unless the client just told that it has it, the resource is sent (again) even if nothing changed. */
  add(name: string, force: boolean): void {
    this.seen = undefined;
    this.namedBy = undefined;
    if (name === '*') {
      if (this.wildcard && force) this.forceHeld();
      this.wildcard = true;
      this.answerDue = true;
      return;
    }
    this.names.add(sharedName(name));
    if (force) this.forced.add(name);
  }

  /** Drops a name. While a wildcard subscription still covers it, the client is sent it again, as the protocol demands. */
  drop(name: string): void {
    this.seen = undefined;
    this.namedBy = undefined;
    if (name === '*') this.wildcard = false;
    else this.names.delete(name);
    if (this.wildcard) this.forced.add(name);
    else if (name === '*') this.held = new Map([...this.held].filter(([known]) => this.names.has(known)));
    else this.held.delete(name);
  }

  /** SotW: the list in a request replaces the one before. */
  setNames(names: readonly string[]): void {
    if (names === this.namedBy) return;
    const wanted = new Set(names);
    for (const name of this.names) if (!wanted.has(name)) this.drop(name);
    for (const name of wanted) if (!this.names.has(name)) this.add(name, false);
    this.namedBy = names;
  }

  /** Sends these again although they are equal, if the client has them: a changed cluster waits for its endpoints. */
  forceIfHeld(names: readonly string[]): void {
    for (const name of names) if (this.held.has(name)) this.forced.add(name);
  }

  /** What must be sent so that the client agrees with `available`; undefined when nothing. `keepRemoved` puts removals off; it is asked only if there are any. */
  difference(available: ResourceSet, keepRemoved: () => boolean): Difference | undefined {
    if (this.seen === available && !this.answerDue && this.forced.size === 0) return undefined;
    const suspects = this.suspects(available);
    const changed: EncodedResource[] = [];
    const repeated: EncodedResource[] = [];
    for (const resource of suspects ? this.among(suspects, available) : this.targets(available)) {
      if (this.held.get(resource.name)?.version !== resource.version) changed.push(resource);
      else if (this.forced.has(resource.name)) repeated.push(resource);
    }
    const gone = suspects ? this.goneAmong(suspects, available) : this.gone(available);
    const removed = gone.length > 0 && keepRemoved() ? [] : gone;
    const agrees = removed.length === gone.length ? available : undefined;
    if (changed.length + repeated.length + removed.length === 0 && !this.answerDue) {
      this.seen = agrees ?? this.seen;
      return undefined;
    }
    const names = changed.map((resource) => resource.name);
    const added = changed.filter(({ name }) => !this.held.has(name));
    if (this.mode === 'delta' || !FULL_STATE_TYPES.has(this.typeUrl)) return this.sotwHasNews(changed, repeated) ? { resources: [...changed, ...repeated], removed, changed: names, added, agrees } : this.settle(removed);
    const kept = agrees ? [] : gone.map((name) => this.held.get(name)).filter((held): held is EncodedResource => held !== undefined && 'value' in held);
    return { resources: [...this.targets(available), ...kept], removed, changed: names, added, agrees };
  }

  /** Records that a response was written. */
  sent(nonce: string, difference: Difference): void {
    for (const resource of difference.resources) this.held.set(resource.name, resource);
    this.settle(difference.removed);
    this.seen = difference.agrees ?? this.seen;
    this.forced.clear();
    this.answerDue = false;
    this.awaiting = nonce;
    this.lastSentNonce = nonce;
  }

  /** Records the client's verdict on the awaited response. */
  answered(nonce: string, message: string | undefined): void {
    this.awaiting = undefined;
    if (message === undefined) this.lastAckedNonce = nonce;
    this.nack = message === undefined ? undefined : { nonce, message };
  }

  private *targets(available: ResourceSet): Iterable<EncodedResource> {
    if (this.wildcard) return yield* available.values();
    for (const name of this.names) {
      const resource = available.get(name);
      if (resource) yield resource;
    }
  }

  /** The only names to look at, when it is known what is different between what the client has and what there is. */
  private suspects(available: ResourceSet): Iterable<string> | undefined {
    if (!this.seen || this.answerDue) return undefined;
    const changed = this.seen === available ? [] : available.changesFrom?.(this.seen);
    return changed && (this.forced.size === 0 ? changed : new Set([...changed, ...this.forced]));
  }

  private *among(names: Iterable<string>, available: ResourceSet): Iterable<EncodedResource> {
    for (const name of names) {
      const resource = this.wildcard || this.names.has(name) ? available.get(name) : undefined;
      if (resource) yield resource;
    }
  }

  private goneAmong(names: Iterable<string>, available: ResourceSet): string[] {
    return [...names].filter((name) => {
      const held = this.held.get(name);
      const isKnown = held !== undefined && held !== ABSENT;
      const isDue = this.mode === 'delta' && this.names.has(name) && (held === undefined || this.forced.has(name));
      return (isKnown || isDue) && available.get(name) === undefined;
    });
  }

  /** Names the client holds or asked for that do not exist (any more) and that it has not been told about. */
  private gone(available: ResourceSet): string[] {
    const gone: string[] = [];
    for (const [name, held] of this.held) if (held !== ABSENT && available.get(name) === undefined) gone.push(name);
    if (this.mode === 'delta') for (const name of this.names) if (available.get(name) === undefined && (!this.held.has(name) || this.forced.has(name)) && !gone.includes(name)) gone.push(name);
    return gone;
  }

  /** SotW cannot say that a named resource is gone: without news there is nothing to send. */
  private sotwHasNews(changed: readonly unknown[], repeated: readonly unknown[]): boolean {
    return this.mode === 'delta' || this.answerDue || changed.length + repeated.length > 0;
  }

  private settle(removed: readonly string[]): undefined {
    for (const name of removed) if (this.mode === 'delta' && this.names.has(name)) this.held.set(name, ABSENT);
      else this.held.delete(name);
    return undefined;
  }

  private forceHeld(): void {
    for (const name of this.held.keys()) this.forced.add(name);
  }
}
