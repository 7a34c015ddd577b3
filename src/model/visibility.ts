/** Who may see a config object: `exportTo` after defaults and `.` are resolved. */
export interface Visibility {
  /** `*`: every namespace. */
  readonly public: boolean;
  /** Namespaces that are named (or the object's own for `.`). Both empty = nobody (`~`). */
  readonly namespaces: readonly string[];
}

export const PUBLIC: Visibility = { public: true, namespaces: [] };

/** True when a proxy in `namespace` may see the object. */
export function isVisibleTo(visibility: Visibility, namespace: string): boolean {
  return visibility.public || visibility.namespaces.includes(namespace);
}

/** Resolves `exportTo` (`.`, `*`, `~`, names); an empty list takes the mesh default. */
export function visibilityOf(exportTo: readonly string[], namespace: string, defaults: readonly string[] = ['*']): Visibility {
  const list = exportTo.length > 0 ? exportTo : defaults;
  if (list.includes('*')) return PUBLIC;
  return { public: false, namespaces: list.filter((entry) => entry !== '~').map((entry) => (entry === '.' ? namespace : entry)) };
}
