/** `meltemi.yaml`: what runs for the images of a project, how it is built, and what restarts it. Mistakes are issues with file, line and field. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node, type YAMLMap } from 'yaml';
import { splitCommand, type ImageMapping } from '../images.ts';
import { readDockerfile } from './dockerfile.ts';

/** The file that `up` looks for in the folder it is called in. */
export const PROJECT_FILE = 'meltemi.yaml';

/** A mistake in the file. */
export interface ProjectIssue {
  readonly file: string;
  readonly line: number;
  /** `images[0].command`. */
  readonly field: string;
  readonly message: string;
  /** What to write instead. */
  readonly fix: string;
}

export interface Project {
  readonly images: readonly ImageMapping[];
  /** Not empty: nothing of the file is used. */
  readonly issues: readonly ProjectIssue[];
}

/** Lines as compilers print them, so that editors can jump to them. */
export function projectIssueLine({ file, line, field, message, fix }: ProjectIssue): string {
  return `${file}:${line}: ${field === '' ? '' : `${field}: `}${message}\n    ${fix}`;
}

const FIELDS = ['image', 'command', 'args', 'env', 'cwd', 'user', 'build', 'watch', 'ignore', 'context', 'dockerfile'] as const;
type Field = (typeof FIELDS)[number];
const EXAMPLE = 'for example:  images: [{ image: registry.example/shop, command: node server.js }]';

/** Reads and checks a file. Throws only what reading it throws. */
export function readProject(path: string): Project {
  return parseProject(readFileSync(path, 'utf8'), path);
}

/** As {@link readProject}; relative paths are relative to the folder of `path`. */
export function parseProject(text: string, path: string): Project {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const issues: ProjectIssue[] = [];
  const reader = new Reader(path, lines, issues);
  for (const error of document.errors) issues.push({ file: path, line: lines.linePos(error.pos[0]).line, field: '', message: `no YAML: ${error.message}`, fix: 'see https://yaml.org/spec/1.2.2/, or quote the text' });
  const images = issues.length > 0 ? [] : readImages(document, reader);
  return { images: issues.length > 0 ? [] : images, issues };
}

class Reader {
  readonly folder: string;

  constructor(
    private readonly file: string,
    private readonly lines: LineCounter,
    private readonly issues: ProjectIssue[],
  ) {
    this.folder = dirname(resolve(file));
  }

  fail(node: unknown, field: string, message: string, fix: string): undefined {
    const start = (node as Node | undefined)?.range?.[0] ?? 0;
    this.issues.push({ file: this.file, line: this.lines.linePos(start).line, field, message, fix });
    return undefined;
  }
}

function readImages(document: Document, reader: Reader): readonly ImageMapping[] {
  const root = document.contents;
  if (!isMap(root)) return reader.fail(root, '', 'the file must be a map', EXAMPLE) ?? [];
  for (const { key } of root.items) if (isScalar(key) && key.value !== 'images') reader.fail(key, String(key.value), 'there is no such field', 'the only field of the file is "images"');
  const list = root.get('images', true);
  if (!isSeq(list)) return reader.fail(list ?? root, 'images', list === undefined ? 'is missing' : 'must be a list', EXAMPLE) ?? [];
  return list.items.flatMap((item, index) => {
    const field = `images[${index}]`;
    if (!isMap(item)) return reader.fail(item, field, 'must be a map', EXAMPLE) ?? [];
    const mapping = readImage(new ImageReader(item, field, reader));
    return mapping ? [mapping] : [];
  });
}

/** One entry of `images`, field by field. */
class ImageReader {
  constructor(
    private readonly map: YAMLMap,
    private readonly path: string,
    private readonly reader: Reader,
  ) {
    for (const { key } of map.items) if (isScalar(key) && !FIELDS.includes(key.value as Field)) reader.fail(key, `${path}.${String(key.value)}`, 'there is no such field', `known fields: ${FIELDS.join(', ')}`);
  }

  get folder(): string {
    return this.reader.folder;
  }

  has(name: Field): boolean {
    return this.map.has(name);
  }

  fail(name: Field | undefined, message: string, fix: string): undefined {
    return this.reader.fail(name === undefined ? this.map : (this.map.get(name, true) ?? this.map), name === undefined ? this.path : `${this.path}.${name}`, message, fix);
  }

  text(name: Field, fix: string): string | undefined {
    const node = this.map.get(name, true);
    if (node === undefined) return undefined;
    return isScalar(node) && typeof node.value === 'string' && node.value !== '' ? node.value : this.fail(name, 'must be a text', fix);
  }

  texts(name: Field, fix: string): readonly string[] | undefined {
    const node = this.map.get(name, true);
    if (node === undefined) return undefined;
    if (!isSeq(node) || !node.items.every((item) => isScalar(item) && ['string', 'number'].includes(typeof item.value))) return this.fail(name, 'must be a list of texts', fix);
    return node.items.map((item) => String((item as { readonly value: unknown }).value));
  }

  isList(name: Field): boolean {
    return isSeq(this.map.get(name, true));
  }

  value(name: Field): unknown {
    const node = this.map.get(name, true);
    return isScalar(node) ? node.value : node;
  }

  environment(): Readonly<Record<string, string>> {
    const node = this.map.get('env', true);
    if (node === undefined) return {};
    if (!isMap(node)) return this.fail('env', 'must be a map of names to values', 'env: { PORT: "8080" }') ?? {};
    const entries: [string, string][] = [];
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      if (!/^[A-Za-z_][\w.-]*$/.test(name)) this.reader.fail(key, `${this.path}.env`, `"${name}" is no name of a variable`, 'letters, digits, "_", "-" and ".", not beginning with a digit');
      else if (!isScalar(value) || value.value === null || typeof value.value === 'object') this.reader.fail(value ?? key, `${this.path}.env.${name}`, 'must be a text', `${name}: "…"`);
      else entries.push([name, String(value.value)]);
    }
    return Object.fromEntries(entries);
  }

  /** A folder or file that must exist. */
  place(name: Field, kind: 'folder' | 'file', fallback: string): string {
    const text = this.text(name, `${name}: ./shop`);
    if (text === undefined) return fallback;
    const path = resolve(this.folder, text);
    const stat = existsSync(path) ? statSync(path) : undefined;
    if (!stat || stat.isDirectory() !== (kind === 'folder')) this.fail(name, `there is no ${kind} ${path}`, `a path relative to ${this.folder}`);
    return path;
  }
}

function readImage(entry: ImageReader): ImageMapping | undefined {
  const image = entry.text('image', 'image: registry.example/shop');
  if (image === undefined && !entry.has('image')) entry.fail('image', 'is missing', 'the image as your pods name it; without a tag it means every tag, "*" any text');
  const context = entry.has('context') ? entry.place('context', 'folder', entry.folder) : undefined;
  const hint = readHint(entry, context);
  const cwd = entry.place('cwd', 'folder', context ?? entry.folder);
  const own = readCommand(entry);
  const args = entry.texts('args', 'args: [--verbose]');
  const user = entry.value('user');
  if (user !== undefined && (!Number.isInteger(user) || Number(user) < 0)) entry.fail('user', 'must be a user id', 'user: 1000');
  const build = entry.text('build', 'build: npm run build');
  const watch = readWatch(entry, cwd, build);
  if (!own && !hint && !entry.has('command') && !entry.has('context') && !entry.has('dockerfile')) entry.fail(undefined, 'says nothing about what to run', 'write a command, or a context with a Dockerfile');
  if (image === undefined || !(own ?? hint)) return undefined;
  return {
    image, cwd, command: '', argv: own ?? hint!.entrypoint,
    args: args ?? (own ? [] : hint!.cmd),
    env: { ...hint?.env, ...entry.environment() },
    ...(user === undefined ? {} : { user: Number(user) }),
    ...(build === undefined ? {} : { build }),
    ...(watch === undefined ? {} : { watch, ignore: entry.texts('ignore', 'ignore: [dist]') ?? [] }),
  };
}

function readCommand(entry: ImageReader): readonly string[] | undefined {
  const fix = 'command: node server.js, or a list: [node, server.js]';
  if (entry.isList('command')) return entry.texts('command', fix);
  const text = entry.text('command', fix);
  return text === undefined ? undefined : (splitCommand(text) ?? ['/bin/sh', '-c', text]);
}

/** What the Dockerfile of a build context runs, in the context itself: paths below its WORKDIR mean files of the context. */
function readHint(entry: ImageReader, context: string | undefined): { readonly entrypoint: readonly string[]; readonly cmd: readonly string[]; readonly env: Readonly<Record<string, string>> } | undefined {
  if (context === undefined && !entry.has('dockerfile')) return undefined;
  const path = entry.place('dockerfile', 'file', join(context ?? entry.folder, 'Dockerfile'));
  if (!existsSync(path)) return entry.has('dockerfile') || entry.has('command') ? undefined : entry.fail('context', `there is no Dockerfile in ${context}`, 'write a command, or the path of the Dockerfile: dockerfile: build/Dockerfile');
  const hint = readDockerfile(readFileSync(path, 'utf8'));
  if (hint.line === undefined && !entry.has('command')) return entry.fail(entry.has('dockerfile') ? 'dockerfile' : 'context', `${relative(entry.folder, path)} has neither CMD nor ENTRYPOINT (its base image may)`, 'write a command');
  const root = context ?? dirname(path);
  const here = (word: string): string => (hint.workdir !== '/' && (word === hint.workdir || word.startsWith(`${hint.workdir}/`)) ? root + word.slice(hint.workdir.length) : word);
  return { entrypoint: hint.entrypoint.map(here), cmd: hint.cmd.map(here), env: hint.env };
}

function readWatch(entry: ImageReader, cwd: string, build: string | undefined): readonly string[] | undefined {
  const value = entry.value('watch');
  if (value === undefined || value === false) return undefined;
  if (value === true) return build === undefined ? [cwd] : entry.fail('watch', 'what is built would start the next build', 'name the sources: watch: [src]');
  const paths = entry.texts('watch', 'watch: [src, package.json], or watch: true for the whole folder');
  return paths?.map((path) => {
    const place = resolve(cwd, path);
    if (!existsSync(place)) entry.fail('watch', `there is no ${place}`, `paths relative to ${cwd}`);
    return place;
  });
}
