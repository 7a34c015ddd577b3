/** Objects of files and folders of YAML, and what cannot be read of them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Issue } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';
import { loadText } from '../objects/repair/load-text.ts';

export interface FileObject {
  readonly object: KubeObject;
  /** `file:line`. */
  readonly origin: string;
}

export interface FileContents {
  readonly objects: readonly FileObject[];
  readonly issues: readonly Issue[];
}

/** Reads files, standard input (`-`), and of folders all YAML and JSON; folders inside folders only when asked to. Throws when a path does not exist. */
export function readFiles(paths: readonly string[], recursive: boolean): FileContents {
  const all = paths.flatMap((path) => expand(path, recursive)).map((path): FileContents => {
    const { objects, issues } = loadText(readFileSync(path === '-' ? 0 : path, 'utf8'), path);
    return { objects: objects.map(({ object, line }) => ({ object, origin: `${path}:${line}` })), issues };
  });
  return { objects: all.flatMap(({ objects }) => objects), issues: all.flatMap(({ issues }) => issues) };
}

function expand(path: string, recursive: boolean): readonly string[] {
  if (path === '-') return [path];
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new Error(`open ${path}: no such file or directory`);
  if (!found.isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) return recursive ? expand(inner, true) : [];
    return /\.(ya?ml|json)$/.test(entry.name) ? [inner] : [];
  });
}
