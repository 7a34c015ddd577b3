/** HTTPRouteGroups: descriptions of requests that splits and targets share. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { fieldOf } from './objects.ts';

export interface RouteGroupMatch {
  readonly name: string;
  /** Holds from the start of the path; '' is any. */
  readonly pathRegex: string;
  readonly methods: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
}

/** One of the matches holds; in a match everything does. */
export function routeGroupMatches(group: KubeObject, issues: Issue[]): readonly RouteGroupMatch[] {
  return fieldOf(group, 'matches', issues).items().map((match) => ({
    name: match.at('name').string(), pathRegex: match.at('pathRegex').string(), methods: match.at('methods').strings(),
    headers: match.at('headers').entries().map(([name, value]) => [name, value.string()] as const),
  }));
}

/** A regular expression that is only tied to the start → one for the whole text. */
export function wholeText(regex: string): string {
  const inner = regex.replace(/^\^/, '');
  return inner.endsWith('$') && !inner.endsWith('\\$') ? inner.slice(0, -1) : `(?:${inner}).*`;
}

/** A regular expression in the words of AuthorizationPolicy (`/a`, `/a*`, `*`); undefined when they cannot say it. A plain dot is taken as a dot. */
export function asPattern(regex: string): string | undefined {
  const inner = regex.replace(/^\^/, '');
  const [, literal = '', tail = ''] = /^((?:[\w\-/.~%:@+=, ](?![*+?{])|\\[.\-/+?$^*()[\]{}|])*)(\.[*+]\$?|\$)?$/.exec(inner) ?? [undefined, undefined];
  if (inner !== '' && literal === '' && tail === '') return undefined;
  const text = literal.replaceAll('\\', '');
  return tail === '$' ? text : `${text}*`;
}
