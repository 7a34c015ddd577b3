// Finds the conformance corpora: data of Istio's own tests that is not part of this repository.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { createSelfSignedCa } from '../../src/identity/ca.ts';

/** Where the corpora are unless a caller says so: `$MELTEMI_CONFORMANCE`, else beside the repository. */
export const CORPORA = process.env['MELTEMI_CONFORMANCE'] ?? join(process.cwd(), '../shared/conformance');

/** One case of a corpus: its folder and the parsed `case.json`. */
export interface ConformanceCase<T> {
  readonly name: string;
  readonly directory: string;
  readonly data: T;
}

/** All cases of one corpus; empty, with a line on stderr, when the corpora are not there. */
export function conformanceCases<T>(corpus: string, home = CORPORA): readonly ConformanceCase<T>[] {
  const root = join(home, corpus);
  if (!existsSync(root)) {
    process.stderr.write(`skipped: conformance ${corpus}, because ${root} is not there (set MELTEMI_CONFORMANCE)\n`);
    return [];
  }
  return readdirSync(root)
    .filter((name) => existsSync(join(root, name, 'case.json')))
    .sort()
    .map((name) => ({ name, directory: join(root, name), data: JSON.parse(readFileSync(join(root, name, 'case.json'), 'utf8')) as T }));
}

/** A file or folder of a corpus that its cases share. */
export function corpusFile(corpus: string, path: string): string {
  return join(CORPORA, corpus, path);
}

/** All documents of a YAML file, empty ones left out; Secrets whose keys the corpus leaves out get a fresh pair. */
export function readYaml<T>(file: string): readonly T[] {
  return parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document) => document.toJS() as unknown)
    .filter((value) => value !== null && value !== undefined)
    .map((value) => withKeys(value) as T);
}

interface SecretLike {
  readonly kind?: unknown;
  readonly data?: Readonly<Record<string, unknown>>;
}

function withKeys(value: unknown): unknown {
  const { kind, data } = value as SecretLike;
  if (kind !== 'Secret' || data === undefined || !Object.values(data).includes('GENERATED')) return value;
  const pair = createSelfSignedCa({ organization: 'conformance', nowMs: Date.now() });
  const made: Readonly<Record<string, string>> = { 'tls.crt': pair.caCertPem, 'tls.key': pair.caKeyPem };
  const filled = Object.entries(data).map(([key, text]) => [key, text === 'GENERATED' ? base64(made[key] ?? pair.caCertPem) : text]);
  return { ...(value as object), data: Object.fromEntries(filled) };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
