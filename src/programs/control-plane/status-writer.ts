/** Writes the status that objects should have, where it differs from what they have. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import type { ResourceType } from '../../objects/kind.ts';
import { keyOf, type KubeObject } from '../../objects/meta.ts';
import { findKind } from '../../objects/registry.ts';
import type { StatusUpdate } from '../../resolve/gateway-api/convert.ts';

const log = createLogger('status');

const FIELD_MANAGER = 'pilot-discovery';
const RETRY_MS = 2000;
/** Statuses written at the same time. */
const WRITERS = 8;

export interface StatusWriterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** An object is newer than the copy its status was made from. */
  readonly onConflict: () => void;
}

type Json = Readonly<Record<string, unknown>>;

/** Only one control plane leads and writes; the others remember what they would write. */
export class StatusWriter {
  private wanted: readonly StatusUpdate[] = [];
  private leading = false;
  private running = false;
  private again = false;
  /** What was written on top of which version, by object: the source may not have heard of it yet. */
  private readonly written = new Map<string, { readonly status: string; readonly onVersion: string | undefined }>();

  constructor(private readonly options: StatusWriterOptions) {}

  lead(leading: boolean): void {
    this.leading = leading;
    this.start();
  }

  /** Replaces everything that is wanted. */
  set(statuses: readonly StatusUpdate[]): void {
    this.wanted = statuses;
    this.start();
  }

  private start(): void {
    if (this.running) this.again = true;
    else void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    do {
      this.again = false;
      const due = this.wanted.filter((update) => this.isDue(update));
      const next = due.values();
      const write = async () => {
        for (const update of next) if (this.leading && !this.options.signal.aborted) await this.write(update);
      };
      await Promise.all(Array.from({ length: WRITERS }, write));
    } while (this.again);
    this.running = false;
  }

  private isDue({ object, status }: StatusUpdate): boolean {
    const text = canonical(status);
    if (text === canonical((object as { readonly status?: unknown }).status ?? {})) return false;
    const written = this.written.get(nameOf(object));
    return !(written?.status === text && written.onVersion === object.metadata.resourceVersion);
  }

  private async write({ object, status }: StatusUpdate): Promise<void> {
    const { client, clock, onConflict, signal } = this.options;
    const { name, namespace, resourceVersion } = object.metadata;
    const type = typeOf(object);
    if (!type) return;
    const before = (object as { readonly status?: unknown }).status;
    const patch = { metadata: { resourceVersion }, status: mergePatchOf(before, timed(status, timestamp(clock.now()))) };
    this.written.set(nameOf(object), { status: canonical(status), onVersion: resourceVersion });
    try {
      await client.mergePatch(type, name, namespace, patch, { subresource: 'status', fieldManager: FIELD_MANAGER });
    } catch (error) {
      this.written.delete(nameOf(object));
      const code = error instanceof ApiError ? error.code : 0;
      if (code === 404 || signal.aborted) return;
      if (code === 409) return onConflict();
      log.warn('a status could not be written', { object: nameOf(object), error: messageOf(error) });
      // What the API finds invalid stays so until the object changes.
      if (code < 400 || code >= 500) clock.after(RETRY_MS, () => this.start());
    }
  }
}

function nameOf(object: KubeObject): string {
  return `${object.kind}.${object.apiVersion.split('/')[0]} ${keyOf(object)}`;
}

function typeOf({ apiVersion, kind }: KubeObject): ResourceType | undefined {
  const [group = '', version = ''] = apiVersion.split('/');
  const info = findKind(group, kind);
  return info && { group, version, kind, plural: info.plural, namespaced: info.namespaced };
}

/** A status as text that is equal when nothing but times differs. */
function canonical(status: unknown): string {
  return JSON.stringify(status, (key, value: unknown) => {
    if (key === 'lastTransitionTime') return undefined;
    return isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  });
}

/** Conditions that changed get the time of now. */
function timed(value: unknown, now: string): unknown {
  if (Array.isArray(value)) return value.map((item) => timed(item, now));
  if (!isObject(value)) return value;
  const filled = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, timed(member, now)]));
  return isCondition(value) && !value['lastTransitionTime'] ? { ...filled, lastTransitionTime: now } : filled;
}

function isCondition(value: Json): boolean {
  return typeof value['type'] === 'string' && typeof value['status'] === 'string' && 'reason' in value;
}

/** The merge patch from one value to another: what is gone becomes null. */
function mergePatchOf(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) return after;
  const gone = Object.keys(before).filter((key) => after[key] === undefined).map((key) => [key, null]);
  return Object.fromEntries([...gone, ...Object.entries(after).map(([key, value]) => [key, mergePatchOf(before[key], value)])]);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 3339 without fractions, as metav1.Time. */
function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
