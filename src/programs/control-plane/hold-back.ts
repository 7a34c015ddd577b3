/**
 * VirtualServices that are ahead of their DestinationRule wait for it a moment: until then the last version that led somewhere stays (or none), so that no request
 * is answered with 503 NC because two objects of one change came in the wrong order. Istio routes to the missing subset at once.
 */
import type { Clock } from '../../base/clock.ts';
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';

/** How long a VirtualService waits for a subset it names. Two commands typed one after the other come within it. */
export const HOLD_BACK_MS = 2000;

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;
const isRule = (object: KubeObject): boolean => object.kind === 'VirtualService';
const sameSpec = (a: KubeObject, b: KubeObject | undefined): boolean => a === b || (b !== undefined && JSON.stringify((a as { spec?: unknown }).spec) === JSON.stringify((b as { spec?: unknown }).spec));

export class HoldBack {
  /** Versions in force by `namespace/name`. */
  private inForce: ReadonlyMap<string, KubeObject> | undefined;
  private readonly waiting = new Map<string, { readonly object: KubeObject; over: boolean }>();

  /** `again` is called when a version has waited long enough; `holdBackMs` is asked for every new one, 0 = nobody waits. */
  constructor(private readonly clock: Clock, private readonly again: () => void, private readonly holdBackMs = (): number => HOLD_BACK_MS) {}

  /**
   * What to resolve instead of these objects, given what is wrong with them; undefined: they are fine as they are. What was there at the first call never waits,
   * nor does a rule whose subset is taken away under it: only new versions do.
   */
  instead(objects: Iterable<KubeObject>, issues: readonly Issue[]): readonly KubeObject[] | undefined {
    const ahead = new Set(issues.filter(({ code, object, path }) => code === 'IST0101' && object.kind === 'VirtualService' && path.endsWith('.subset')).map(({ object }) => `${object.namespace ?? ''}/${object.name}`));
    const before = this.inForce;
    if (ahead.size === 0 || !before) {
      this.waiting.clear();
      this.inForce = new Map([...objects].filter(isRule).map((object) => [keyOf(object), object]));
      return undefined;
    }
    const all = [...objects];
    const next = new Map<string, KubeObject>();
    const held = new Set<KubeObject>();
    for (const object of all.filter(isRule)) {
      const key = keyOf(object);
      const last = before.get(key);
      if (ahead.has(key) && !sameSpec(object, last) && this.waits(key, object)) {
        held.add(object);
        if (last) next.set(key, last);
        continue;
      }
      this.waiting.delete(key);
      next.set(key, object);
    }
    for (const key of this.waiting.keys()) if (!ahead.has(key)) this.waiting.delete(key);
    this.inForce = next;
    return held.size === 0 ? undefined : all.flatMap((object) => (held.has(object) ? (next.get(keyOf(object)) ?? []) : object));
  }

  /** A version waits once: being written again without a change does not prolong it. */
  private waits(key: string, object: KubeObject): boolean {
    const known = this.waiting.get(key);
    if (known && sameSpec(object, known.object)) return !known.over;
    const ms = this.holdBackMs();
    if (ms === 0) return false;
    const entry = { object, over: false };
    this.waiting.set(key, entry);
    this.clock.after(ms, () => {
      entry.over = true;
      this.again();
    });
    return true;
  }
}
