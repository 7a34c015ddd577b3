/** Repairs objects that were pasted with their indentation lost, cut short, or with words around them: by what the schema of their kind knows. */
import { stringify } from 'yaml';
import type { KindInfo } from '../kind.ts';
import { apiVersionOf } from '../kind.ts';
import type { KubeObject } from '../meta.ts';
import { validateSchema } from '../schema/validate.ts';
import { unknownFields } from '../schema/prune.ts';
import { respell } from '../schema/spelling.ts';
import { amend } from './amend.ts';
import { complete } from './complete.ts';
import { nest, type Move, type Nested } from './nest.ts';
import { readLines } from './read-lines.ts';
import { OPEN, tokensOf, type Token } from './tokens.ts';
import { writtenPart } from './written.ts';

/** An object as it was probably meant. */
export interface Repair {
  readonly object: KubeObject;
  /** The object as YAML, with the changes as comments. */
  readonly yaml: string;
  /** What was changed, a sentence each; empty when nothing had to be. */
  readonly changes: readonly string[];
}

export interface RepairOptions {
  readonly kinds: readonly KindInfo[];
  /** How many errors an object has beyond those of its schema. */
  readonly errorsOf?: (object: KubeObject) => number;
}

/** Ways that are looked at closely. */
const CLOSE = 12;
const COST_OF_ERROR = 2.5;

/** Repairs a text of one object; undefined when it says no kind we know, or cannot be made sense of. */
export function repairText(text: string, options: RepairOptions, firstLine = 1): Repair | undefined {
  const { tokens, abridged, noise, notes } = readLines(text, firstLine);
  const words = noise.map(({ line, text: what }) => `line ${line}: "${what}" is no YAML`);
  return repairTokens(tokens, options, { abridged: abridged || noise.length > 0, notes: [...notes, ...words] });
}

/** Repairs an object that was parsed, whose fields stand on wrong levels. */
export function repairObject(object: unknown, options: RepairOptions): Repair | undefined {
  return repairTokens(tokensOf(writtenPart(object)), options, { abridged: false, notes: [] });
}

interface Circumstances {
  readonly abridged: boolean;
  readonly notes: readonly string[];
}

function repairTokens(tokens: readonly Token[], options: RepairOptions, circumstances: Circumstances): Repair | undefined {
  let best: Assessed | undefined;
  for (const { info, apiVersion, note } of kindsOf(tokens, options.kinds)) {
    const named = note === undefined ? tokens : withApiVersion(tokens, apiVersion);
    for (const nested of nest(named, info.schema).slice(0, CLOSE)) {
      // They come cheapest first.
      if (best && best.score <= nested.cost) break;
      const assessed = assess(nested, info, options, circumstances);
      if (!best || assessed.score < best.score) best = note === undefined ? assessed : { ...assessed, changes: [note, ...assessed.changes] };
    }
  }
  if (!best || best.errors > 0) return undefined;
  const comments = best.changes.map((change) => `# ${change.replaceAll('\n', ' ')}\n`).join('');
  return { object: best.object, yaml: `${comments}${stringify(best.object, { lineWidth: 0, aliasDuplicateObjects: false })}`, changes: best.changes };
}

interface Assessed {
  readonly errors: number;
  /** What it costs with its errors: an error less must not be bought with fields in the wrong place. */
  readonly score: number;
  readonly object: KubeObject;
  readonly changes: readonly string[];
}

function assess({ value, moves, cost }: Nested, info: KindInfo, { errorsOf }: RepairOptions, { abridged, notes }: Circumstances): Assessed {
  const { object: whole, filled } = complete(value as KubeObject, info.schema, abridged);
  const { object, amended } = amend(whole);
  const spelled = respell(info.schema, object);
  const shape = validateSchema(info.schema, spelled).length + unknownFields(info.schema, spelled).length;
  const errors = shape > 0 ? shape + 1 : (errorsOf?.(object) ?? 0);
  return { errors, score: cost + errors * COST_OF_ERROR, object, changes: [...notes, ...moves.map(sentence), ...filled, ...amended] };
}

interface KindChoice {
  readonly info: KindInfo;
  readonly apiVersion: string;
  /** Set when the object does not say its version, or says one that does not exist. */
  readonly note: string | undefined;
}

/** The kinds an object may be of: one, or those of that name when it does not say its group. */
function kindsOf(tokens: readonly Token[], kinds: readonly KindInfo[]): readonly KindChoice[] {
  const textOf = (name: string) => tokens.find(({ key, value }) => key === name && typeof value === 'string')?.value as string | undefined;
  const [kind, apiVersion] = [textOf('kind'), textOf('apiVersion')];
  const named = kinds.filter((info) => info.kind === kind);
  const exact = named.find((info) => info.versions.some((version) => apiVersionOf({ group: info.group, version }) === apiVersion));
  if (exact) return [{ info: exact, apiVersion: apiVersion!, note: undefined }];
  const sameGroup = named.filter((info) => apiVersion?.split('/')[0] === info.group);
  // A group of somebody else is no mistake.
  if (apiVersion !== undefined && sameGroup.length === 0 && named.length > 0 && !kinds.some(({ group }) => group === apiVersion.split('/')[0])) return [];
  return (sameGroup.length > 0 ? sameGroup : named).map((info) => {
    const preferred = apiVersionOf({ group: info.group, version: info.versions[0]! });
    return { info, apiVersion: preferred, note: `apiVersion of ${info.kind} is ${preferred}${apiVersion === undefined ? ', which is missing' : `, not ${apiVersion}`}` };
  });
}

function withApiVersion(tokens: readonly Token[], apiVersion: string): readonly Token[] {
  const token: Token = { line: 0, column: 0, keyColumn: 0, dash: false, key: 'apiVersion', value: apiVersion };
  return [token, ...tokens.filter(({ key, value }) => key !== 'apiVersion' || (value !== OPEN && typeof value !== 'string'))];
}

function sentence({ line, word, path, why }: Move): string {
  const where = path.map((name) => (typeof name === 'number' ? `[${name}]` : `.${name}`)).join('').replace(/^\./, '');
  const at = line > 0 ? `line ${line}: ` : '';
  switch (why) {
    case 'moved': return `${at}"${word}" belongs to ${where}`;
    case 'implied': return `${at}"${word}" belongs to ${where}, whose upper levels are missing`;
    case 'list': return `${at}"${word}" is a list item: ${where}`;
    case 'no list': return `${at}"${word}" is no list item: ${where}`;
    case 'type': return `${at}${where} is written ${word} with quotes or without, as its type asks`;
    case 'empty': return `${at}${where} is a list, and empty: leave it out`;
  }
}
