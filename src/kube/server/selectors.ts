/** Label and field selectors: the query texts of the API and the selectors inside objects. */
import type { LabelSelector } from '../../objects/meta.ts';
import { own } from './json.ts';
import { badRequest } from './status.ts';

type Labels = Readonly<Record<string, string>> | undefined;
/** Whether a set of labels is chosen. */
export type LabelMatch = (labels: Labels) => boolean;

interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | 'absent' | 'gt' | 'lt';
  readonly values: readonly string[];
}

const KEY = /^([A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/**
 * Parses `app=reviews,version in (v1,v2),!canary,tier`; every requirement must hold. An empty text chooses everything.
 * @throws ApiError 400 for text that is no selector
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#list-and-watch-filtering
 */
export function parseLabelSelector(text: string): LabelMatch {
  const requirements = splitOutsideParentheses(text).map(parseRequirement);
  if (requirements.length === 0) return () => true;
  return (labels) => requirements.every((requirement) => holds(requirement, labels));
}

/** The matcher of a selector inside an object; absent chooses `whenAbsent`, an empty one everything. */
export function matcherOf(selector: LabelSelector | undefined, whenAbsent = false): LabelMatch {
  if (!selector) return () => whenAbsent;
  const requirements: Requirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({ key, operator: 'in', values: [value] }));
  const operators = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: 'absent' } as const;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) requirements.push({ key, operator: operators[operator] ?? 'exists', values });
  return (labels) => requirements.every((requirement) => holds(requirement, labels));
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    const character = text[index];
    if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (index === text.length || (character === ',' && depth === 0)) {
      parts.push(text.slice(start, index).trim());
      start = index + 1;
    }
  }
  return parts.filter((part) => part !== '');
}

function parseRequirement(text: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (set) return checked({ key: set[1]!, operator: set[2] as 'in' | 'notin', values: set[3]!.split(',').map((value) => value.trim()) });
  const compare = /^([^=!<>\s]+)\s*(==|=|!=|<|>)\s*([^=!<>\s]*)$/.exec(text);
  if (compare) {
    const operator = ({ '=': 'in', '==': 'in', '!=': 'notin', '<': 'lt', '>': 'gt' } as const)[compare[2] as '=']!;
    return checked({ key: compare[1]!, operator, values: [compare[3]!] });
  }
  if (text.startsWith('!')) return checked({ key: text.slice(1).trim(), operator: 'absent', values: [] });
  return checked({ key: text, operator: 'exists', values: [] });
}

function checked(requirement: Requirement): Requirement {
  if (!KEY.test(requirement.key)) throw badRequest(`unable to parse requirement: <nil>: Invalid value: "${requirement.key}": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`);
  return requirement;
}

function holds({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = own(labels, key) as string | undefined;
  switch (operator) {
    case 'in': return value !== undefined && values.includes(value);
    case 'notin': return value === undefined || !values.includes(value);
    case 'exists': return value !== undefined;
    case 'absent': return value === undefined;
    case 'gt': return value !== undefined && Number(value) > Number(values[0]);
    case 'lt': return value !== undefined && Number(value) < Number(values[0]);
  }
}

/** One term of a field selector, `status.phase!=Running`. */
export interface FieldTerm {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

/** Parses `metadata.name=a,status.phase!=Running`; `\\`, `\,` and `\=` stand for themselves. @throws ApiError 400 */
export function parseFieldSelector(text: string): FieldTerm[] {
  const terms = text.split(/(?<!\\),/).filter((term) => term !== '');
  return terms.map((term) => {
    const match = /^([^=!]+)(==|!=|=)(.*)$/s.exec(term);
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    return { field: match[1]!.trim(), equal: match[2] !== '!=', value: match[3]!.replace(/\\([\\,=])/g, '$1') };
  });
}
