/** Watches files and folders with everything below them; many changes at once are told once. */
import { readdirSync, statSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

/** Never looked into, wherever they stand. */
const SKIPPED = new Set(['node_modules', '.git', '.hg', '.svn', '.idea', '.vscode', '__pycache__']);
/** What editors write beside a file while they save it. */
const TEMPORARY = /^\.#|^4913$|~$|\.sw[a-z]$|\.tmp$/;

export interface TreeWatchOptions {
  /** Absolute paths of files and folders that exist. */
  readonly paths: readonly string[];
  /** Names, or paths relative to a watched folder, that do not count. */
  readonly ignore: readonly string[];
  /** Quiet time before a change is told. */
  readonly debounceMs: number;
  /** The paths that changed since it was called last. */
  onChange(changed: readonly string[]): void;
}

/** Watches until the returned function is called. Folders that appear later are watched too. */
export function watchTree(options: TreeWatchOptions): () => void {
  const watchers = new Map<string, FSWatcher>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const note = (path: string): void => {
    changed.add(path);
    clearTimeout(timer);
    timer = setTimeout(() => {
      const list = [...changed];
      changed.clear();
      options.onChange(list);
    }, options.debounceMs);
  };
  const counts = (path: string, root: string): boolean => {
    const below = relative(root, path);
    const names = below.split('/');
    return !TEMPORARY.test(basename(path)) && !names.some((name) => SKIPPED.has(name)) && !options.ignore.some((one) => names.includes(one) || below === one || below.startsWith(`${one.replace(/\/$/, '')}/`));
  };
  const enter = (folder: string, root: string, isNew: boolean): void => {
    if (watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === null) return note(folder);
        const path = join(folder, name);
        if (!counts(path, root)) return;
        note(path);
        if (isFolder(path)) enter(path, root, true);
      });
      watcher.on('error', () => leave(folder));
      watchers.set(folder, watcher);
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (!counts(path, root)) continue;
        if (entry.isDirectory()) enter(path, root, isNew);
        // It may have been written before its folder was watched.
        else if (isNew) note(path);
      }
    } catch {
      leave(folder);
    }
  };
  const leave = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const stops = options.paths.map((path) => {
    if (isFolder(path)) {
      enter(path, path, false);
      return () => {};
    }
    // Editors replace files: the folder sees the new one, a watch on the old one does not.
    const watcher = watch(dirname(path), (_event, name) => (name === basename(path) ? note(path) : undefined));
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  });
  return () => {
    clearTimeout(timer);
    for (const stop of stops) stop();
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
  };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
