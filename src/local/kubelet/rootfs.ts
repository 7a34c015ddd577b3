/**
 * A container's file system: the host's own directories bound into a private root, so that any path can get a mount without a single directory
 * being created on the host.
 *
 * There is no overlay (a user namespace may not have one). Instead the root is a skeleton folder: a host directory that needs nothing is bound as
 * a whole; one that must get a new entry is made private: a folder of the skeleton with a link per host entry into a bind of the original.
 */
import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync, chmodSync, existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** The part of a file system that planning looks at; a test hands in a table. */
export interface HostView {
  kind(path: string): 'directory' | 'file' | 'link' | undefined;
  list(path: string): readonly string[];
  link(path: string): string;
}

export interface BindMount {
  /** Path on the node. */
  readonly source: string;
  /** Path inside the container. */
  readonly target: string;
  readonly readOnly?: boolean;
}

/** What the skeleton holds and what is mounted on it, in order. */
export interface RootPlan {
  /** Folders of the skeleton, parents first, with their mode. */
  readonly directories: readonly { readonly path: string; readonly mode: number }[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly mounts: readonly BindMount[];
  /** Mount points inside volumes, as paths on the node: a volume mounted below another one. */
  readonly insideVolumes: readonly { readonly path: string; readonly isFile: boolean }[];
}

export interface RootRequest {
  /** Files written into the container's private directories (`/etc/hosts`). */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** Volumes and our own programs; a later one may stand below an earlier one. */
  readonly mounts: readonly (BindMount & { readonly isFile?: boolean })[];
}

type Entry = { kind: 'private'; entries: Map<string, Entry>; mode: number } | { kind: 'host'; path: string } | { kind: 'link'; target: string } | { kind: 'file'; content: string } | { kind: 'volume'; source: string; isFile: boolean };
type PrivateEntry = Extract<Entry, { kind: 'private' }>;

/** Directories that are the container's own from the start, with their mode. `/tmp` keeps links to what the host has there: programs may live in it. */
const PRIVATE: Readonly<Record<string, number>> = { '/run': 0o755, '/tmp': 0o1777, '/etc': 0o755 };
/** Of these nothing of the host is shown: they name the host's daemons. */
const EMPTY = new Set(['/run']);
/** Where links of private directories lead: binds of the originals. */
const ORIGINALS = '/.host';
const MAX_LINKS = 32;

/** Works out the skeleton and the mounts of one container. Pure, given the view of the host. Throws when a mount path leads through a file or a link loop. */
export function planRoot(request: RootRequest, host: HostView): RootPlan {
  const root: PrivateEntry = { kind: 'private', entries: new Map(), mode: 0o755 };
  const sources = new Set<string>();
  for (const name of host.list('/')) root.entries.set(name, hostEntry(host, `/${name}`));
  const walk = new Walk(root, host, sources);
  for (const [path, mode] of Object.entries(PRIVATE)) walk.makePrivate(path, mode);
  for (const file of request.files) walk.putFile(file.path, file.content);
  const outermostFirst = [...request.mounts].sort((a, b) => split(a.target).length - split(b.target).length);
  const mounts = outermostFirst.map(({ source, target, isFile = false, readOnly = false }) => ({ source, readOnly, target: walk.mountPoint(target, source, isFile) }));
  return { ...collect(root, sources, mounts), insideVolumes: walk.insideVolumes };
}

function newPrivate(mode = 0o755): PrivateEntry {
  return { kind: 'private', entries: new Map(), mode };
}

function hostEntry(host: HostView, path: string): Entry {
  return host.kind(path) === 'link' ? { kind: 'link', target: host.link(path) } : { kind: 'host', path };
}

class Walk {
  constructor(
    private readonly root: PrivateEntry,
    private readonly host: HostView,
    /** Host directories that links of private directories lead into. */
    private readonly sources: Set<string>,
  ) {}

  makePrivate(path: string, mode: number): void {
    const directory = this.directory(split(path));
    directory.mode = mode;
  }

  putFile(path: string, content: string): void {
    const directory = this.directory(split(dirname(path)));
    directory.entries.set(split(path).at(-1)!, { kind: 'file', content });
  }

  /** Mount points that must be made inside volumes. */
  readonly insideVolumes: { path: string; isFile: boolean }[] = [];

  /** Makes sure that `source` can be mounted at `path` and returns the path with links resolved. */
  mountPoint(path: string, source: string, isFile: boolean): string {
    const found = this.resolve(split(path));
    const name = found.parts.at(-1);
    if (name === undefined) throw new Error(`cannot mount at "${path}"`);
    const target = `/${found.parts.join('/')}`;
    if (found.volume !== undefined) this.insideVolumes.push({ path: found.volume, isFile });
    else this.directory(found.parts.slice(0, -1)).entries.set(name, { kind: 'volume', source, isFile });
    return target;
  }

  /** The private directory at a path: created when missing, made private when it is the host's. */
  private directory(parts: readonly string[]): PrivateEntry {
    const resolved = this.resolve(parts).parts;
    let current = this.root;
    for (const [index, name] of resolved.entries()) {
      const entry = current.entries.get(name);
      if (entry?.kind === 'private') current = entry;
      else {
        const path = `/${resolved.slice(0, index + 1).join('/')}`;
        const made = entry?.kind === 'host' ? this.privatize(entry.path, path) : newPrivate();
        current.entries.set(name, made);
        current = made;
      }
    }
    return current;
  }

  private privatize(hostPath: string, path: string): PrivateEntry {
    const made = newPrivate();
    if (EMPTY.has(path)) return made;
    if (this.host.kind(hostPath) !== 'directory') throw new Error(`cannot mount below "${path}": it is not a directory`);
    for (const name of this.host.list(hostPath)) {
      const child = join(hostPath, name);
      if (this.host.kind(child) === 'link') made.entries.set(name, { kind: 'link', target: this.host.link(child) });
      else made.entries.set(name, { kind: 'host', path: child });
    }
    this.sources.add(hostPath);
    return made;
  }

  /** Follows links from the root; missing parts stay as they are. `host` is the host's path when the place is inside a bound directory. */
  private resolve(parts: readonly string[]): { parts: readonly string[]; volume?: string } {
    let todo = [...parts];
    let done: string[] = [];
    let entry: Entry | undefined = this.root;
    for (let links = 0; todo.length > 0; ) {
      const name: string = todo.shift()!;
      const next = this.child(entry, name);
      if (next?.kind !== 'link') {
        done.push(name);
        entry = next;
        continue;
      }
      if (++links > MAX_LINKS) throw new Error(`too many links in "/${parts.join('/')}"`);
      todo = [...split(next.target.startsWith('/') ? next.target : `/${[...done, next.target].join('/')}`), ...todo];
      done = [];
      entry = this.root;
    }
    return entry?.kind === 'volume' ? { parts: done, volume: entry.source } : { parts: done };
  }

  private child(entry: Entry | undefined, name: string): Entry | undefined {
    if (entry?.kind === 'private') return entry.entries.get(name);
    if (entry?.kind === 'volume') return { kind: 'volume', source: join(entry.source, name), isFile: false };
    return entry?.kind === 'host' ? this.hostChild(join(entry.path, name)) : undefined;
  }

  private hostChild(path: string): Entry | undefined {
    return this.host.kind(path) === undefined ? undefined : hostEntry(this.host, path);
  }
}

function collect(root: PrivateEntry, sources: ReadonlySet<string>, volumes: readonly BindMount[]): Omit<RootPlan, 'insideVolumes'> {
  const directories: { path: string; mode: number }[] = [];
  const links: { path: string; target: string }[] = [];
  const files: { path: string; content: string }[] = [];
  const mounts: BindMount[] = [];
  const original = (path: string) => `${ORIGINALS}${path}`;
  const visit = (entry: Entry, path: string, depth: number): void => {
    if (entry.kind === 'link') links.push({ path, target: entry.target });
    else if (entry.kind === 'volume' && entry.isFile) files.push({ path, content: '' });
    else if (entry.kind === 'volume') directories.push({ path, mode: 0o755 });
    else if (entry.kind === 'file') files.push({ path, content: entry.content });
    else if (entry.kind === 'private') {
      directories.push({ path, mode: entry.mode });
      for (const [name, child] of entry.entries) visit(child, `${path === '/' ? '' : path}/${name}`, depth + 1);
    } else if (depth === 1) {
      directories.push({ path, mode: 0o755 });
      mounts.push({ source: entry.path, target: path });
    } else links.push({ path, target: original(entry.path) });
  };
  visit(root, '/', 0);
  // The links of a directory inside another source lead through that one's bind.
  const outermost = [...sources].filter((path) => ![...sources].some((other) => path !== other && path.startsWith(`${other}/`)));
  const binds = outermost.map((path) => ({ source: path, target: original(path) }));
  for (const bind of binds) {
    for (let path = bind.target; path !== '/'; path = dirname(path)) directories.push({ path, mode: 0o755 });
  }
  directories.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { directories, links, files, mounts: [...mounts, ...binds, ...volumes] };
}

function split(path: string): string[] {
  return normalize(path).split('/').filter((part) => part !== '' && part !== '.');
}

/** The real file system. Top-level files of the host are not shown. */
export const hostView: HostView = {
  kind(path) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat === undefined ? undefined : stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'directory' : 'file';
  },
  list: (path) => readdirSync(path, { withFileTypes: true }).filter((entry) => path !== '/' || entry.isDirectory() || entry.isSymbolicLink()).map((entry) => entry.name),
  link: (path) => readlinkSync(path),
};

/** Writes the skeleton of a plan into a folder (nothing is mounted yet). */
export function buildSkeleton(plan: RootPlan, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const { path, mode } of plan.directories) {
    const place = join(folder, path);
    if (!existsSync(place)) mkdirSync(place, { recursive: true });
    chmodSync(place, mode);
  }
  for (const { path, target } of plan.links) symlinkSync(target, join(folder, path));
  for (const { path, content } of plan.files) writeFileSync(join(folder, path), content);
}

/** The mounts of a plan as an fstab for `mount --all`: one process for all of them. @see fstab(5): blanks are written in octal */
export function renderFstab(plan: RootPlan, folder: string): string {
  const field = (path: string) => path.replace(/[\s\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
  const bind = (source: string, target: string, readOnly = false) => `${field(source)} ${field(target)} none rbind${readOnly ? ',ro' : ''} 0 0\n`;
  return bind(folder, folder) + plan.mounts.map((mount) => bind(mount.source, join(folder, mount.target), mount.readOnly)).join('');
}
