// Finds the conformance corpora: data of Istio's own tests that is not part of this repository.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const home = process.env['MELTEMI_CONFORMANCE'] ?? join(import.meta.dirname, '../../../shared/conformance');

/** One case of a corpus: its folder and the parsed `case.json`. */
export interface ConformanceCase<T> {
  readonly name: string;
  readonly directory: string;
  readonly data: T;
}

/** All cases of one corpus; empty, with a line on stderr, when the corpora are not there. */
export function conformanceCases<T>(corpus: string): readonly ConformanceCase<T>[] {
  const root = join(home, corpus);
  if (!existsSync(root)) {
    process.stderr.write(`skipped: conformance ${corpus}, because ${root} is not there (set MELTEMI_CONFORMANCE)\n`);
    return [];
  }
  return readdirSync(root)
    .filter((name) => existsSync(join(root, name, 'case.json')))
    .map((name) => ({ name, directory: join(root, name), data: JSON.parse(readFileSync(join(root, name, 'case.json'), 'utf8')) as T }));
}

/** A file or folder of a corpus that its cases share. */
export function corpusFile(corpus: string, path: string): string {
  return join(home, corpus, path);
}

/** All documents of a YAML file, empty ones left out. */
export function readYaml<T>(file: string): readonly T[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as T).filter((value) => value !== null && value !== undefined);
}
