/** Ends a watch. Calling it again does nothing. */
export type Unsubscribe = () => void;

/** A value that changes over time and tells its watchers. */
export class Watchable<T> {
  private readonly watchers = new Set<(value: T) => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  /** Stores a value; watchers are told unless it is the same (`Object.is`). */
  set(value: T): void {
    if (Object.is(value, this.current)) return;
    this.current = value;
    const watchers = Array.from(this.watchers);
    for (const watcher of watchers) watcher(value);
  }

  /** Calls back now with the current value and then on every change. */
  watch(watcher: (value: T) => void): Unsubscribe {
    this.watchers.add(watcher);
    watcher(this.current);
    return () => void this.watchers.delete(watcher);
  }
}
