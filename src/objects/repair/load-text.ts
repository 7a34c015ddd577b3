/** Objects of a YAML text, and what is wrong with those that cannot be taken as they stand: with the YAML that was probably meant. */
import { LineCounter, parseDocument } from 'yaml';
import type { Issue } from '../../base/issue.ts';
import { errorsOfIstioObject } from '../istio/validate.ts';
import { ISTIO_OPERATOR_KIND } from '../istio/istio-operator.ts';
import type { KubeObject } from '../meta.ts';
import { KINDS } from '../registry.ts';
import { unknownFields } from '../schema/prune.ts';
import { validateSchema } from '../schema/validate.ts';
import { isObject } from '../schema/values.ts';
import { repairText, type Repair } from './repair.ts';

/** An object with the line it begins on. */
export interface LoadedObject {
  readonly object: KubeObject;
  readonly line: number;
}

export interface LoadedText {
  /** Objects to go on with. Istio's own are still to be validated; those that were refused are not among them. */
  readonly objects: readonly LoadedObject[];
  /** Documents that are refused: their texts are no YAML, or an API server would not take them. */
  readonly issues: readonly Issue[];
}

/** Code of a document that cannot be taken as it stands. */
export const MALFORMED = 'MLT0015';

const ALL_KINDS = [...KINDS, ISTIO_OPERATOR_KIND];
const OPTIONS = { kinds: ALL_KINDS, errorsOf: errorsOfIstioObject };

/** Reads every document of a text. `origin` names it in issues. Documents without kind and metadata are passed over. */
export function loadText(text: string, origin: string): LoadedText {
  const loaded = splitDocuments(text).map((document) => loadDocument(document, origin));
  return { objects: loaded.flatMap(({ objects }) => objects), issues: loaded.flatMap(({ issues }) => issues) };
}

interface Document {
  readonly text: string;
  /** Of its first line. */
  readonly line: number;
}

function splitDocuments(text: string): readonly Document[] {
  const documents: { line: number; lines: string[] }[] = [{ line: 1, lines: [] }];
  text.split(/\r?\n/).forEach((line, index) => {
    if (/^---(\s|$)/.test(line)) documents.push({ line: index + 2, lines: line.length > 3 ? [`   ${line.slice(3)}`] : [] });
    else documents.at(-1)!.lines.push(line);
  });
  return documents.map(({ line, lines }) => ({ line, text: lines.join('\n') }));
}

function loadDocument(document: Document, origin: string): LoadedText {
  const lines = new LineCounter();
  const parsed = parseDocument(document.text, { lineCounter: lines });
  const [error] = parsed.errors;
  if (error) return refused(document, origin, `The text is no YAML: ${error.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '')} (line ${document.line + lines.linePos(error.pos[0]).line - 1}).`);
  const value = parsed.toJS({ maxAliasCount: 100 }) as unknown;
  if (!isObject(value)) return { objects: [], issues: [] };
  const line = document.line + lines.linePos(parsed.contents?.range?.[0] ?? 0).line - 1;
  const objects = value['kind'] === 'List' && Array.isArray(value['items']) ? (value['items'] as readonly unknown[]) : [value];
  const read = objects.map((object) => (isObject(object) ? loadObject(object, { ...document, line }, origin, objects.length === 1) : { objects: [], issues: [] }));
  return { objects: read.flatMap((one) => one.objects), issues: read.flatMap((one) => one.issues) };
}

function loadObject(value: Readonly<Record<string, unknown>>, document: Document, origin: string, single: boolean): LoadedText {
  const named = ALL_KINDS.filter(({ kind }) => kind === value['kind']);
  if (named.length > 0 && single && (value['apiVersion'] === undefined || (!isObject(value['metadata']) && value['kind'] !== ISTIO_OPERATOR_KIND.kind)))
    return refused(document, origin, `The object has no ${value['apiVersion'] === undefined ? 'apiVersion' : 'metadata'}.`);
  if (typeof value['kind'] !== 'string' || typeof value['apiVersion'] !== 'string') return { objects: [], issues: [] };
  if (!isObject(value['metadata']) && value['kind'] !== ISTIO_OPERATOR_KIND.kind) return { objects: [], issues: [] };
  const object = { metadata: { name: '' }, ...value } as unknown as KubeObject;
  const group = object.apiVersion.includes('/') ? object.apiVersion.split('/')[0]! : '';
  const info = named.find((kind) => kind.group === group);
  // Istio's kinds are judged by their own rules, which know more.
  if (!info || group.endsWith('istio.io')) return { objects: [{ object, line: document.line }], issues: [] };
  const unknown = unknownFields(info.schema, object).map((path) => `unknown field "${path}"`);
  const wrong = validateSchema(info.schema, object).filter(({ reason }) => reason === 'FieldValueTypeInvalid' || reason === 'FieldValueRequired').map(({ path, message }) => `${path}: ${message}`);
  if (unknown.length + wrong.length === 0) return { objects: [{ object, line: document.line }], issues: [] };
  const refusal = refused(document, origin, `The API server refuses the object: ${[...unknown, ...wrong].join('; ')}.`, object);
  // A server may be newer than our schemas: a field we do not know is a mistake where another place knows it.
  const mistaken = wrong.length > 0 || (unknown.length > 0 && refusal.issues[0]?.fix !== undefined);
  return mistaken ? refusal : { objects: [{ object, line: document.line }], issues: [] };
}

function refused({ text, line }: Document, origin: string, message: string, object?: KubeObject): LoadedText {
  const repair: Repair | undefined = repairText(text, OPTIONS, line);
  const meant = repair?.object ?? object;
  const reference = { kind: meant?.kind ?? 'File', name: meant?.metadata.name ?? '', ...(meant?.metadata.namespace !== undefined && { namespace: meant.metadata.namespace }), origin: `${origin}:${line}` };
  return { objects: [], issues: [{ severity: 'error', code: MALFORMED, object: reference, path: '', message, ...(repair && { fix: repair.yaml }) }] };
}
