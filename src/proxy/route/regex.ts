/** RE2 patterns as predicates: linear time, and no regex at all where the pattern is a literal, a prefix or a suffix. */
import type { RE2JS } from 're2js';
import { compileRe2 } from './re2.ts';

/** Tests a whole text. */
export type TextPredicate = (text: string) => boolean;

const PLAIN = /^[^\\.+*?()|[\]{}^$]*$/;

/**
 * A predicate for a full match. Throws RE2's complaint for a bad pattern.
 * @see envoy.type.matcher.v3.RegexMatcher
 */
export function compileRegex(pattern: string): TextPredicate {
  const simple = simpleForm(pattern);
  if (simple) return simple;
  const compiled = compilePattern(pattern);
  return (text) => compiled.testExact(text);
}

/** `abc`, `abc.*`, `.*abc`, `.*abc.*` with or without anchors. `.` does not match a newline, as in RE2. */
function simpleForm(pattern: string): TextPredicate | undefined {
  let body = pattern.replace(/^\^/, '').replace(/(?<!\\)\$$/, '').replaceAll('\\.', '\u0000').replaceAll('\\-', '-').replaceAll('\\/', '/');
  const head = body.startsWith('.*');
  if (head) body = body.slice(2);
  const tail = body.endsWith('.*');
  if (tail) body = body.slice(0, -2);
  if (!PLAIN.test(body)) return undefined;
  const literal = body.replaceAll('\u0000', '.');
  if (head && tail) return (text) => text.includes(literal) && !text.includes('\n');
  if (head) return (text) => text.endsWith(literal) && !text.slice(0, text.length - literal.length).includes('\n');
  if (tail) return (text) => text.startsWith(literal) && !text.includes('\n', literal.length);
  return (text) => text === literal;
}

/**
 * RE2::GlobalReplace with `\0`–`\9` in the substitution. Throws for a bad pattern and for a group the pattern does not have.
 * @see envoy.type.matcher.v3.RegexMatchAndSubstitute
 */
export function compileSubstitution(pattern: string, substitution: string): (text: string) => string {
  const compiled = compilePattern(pattern);
  const parts = parseSubstitution(substitution, compiled.groupCount());
  return (text) => {
    const matcher = compiled.matcher(text);
    let result = '';
    let end = -1;
    let copied = 0;
    while (matcher.find()) {
      // An empty match right behind the last one is not replaced again: `.*` on `abc` is one match, not two.
      if (matcher.start() === end && matcher.end() === end) continue;
      result += text.slice(copied, matcher.start());
      for (const part of parts) result += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      end = copied = matcher.end();
    }
    return result + text.slice(copied);
  };
}

function compilePattern(pattern: string): RE2JS {
  try {
    return compileRe2(pattern);
  } catch (thrown) {
    throw new Error(`invalid regex "${pattern}": ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

function parseSubstitution(substitution: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = [];
  let literal = '';
  for (let at = 0; at < substitution.length; at++) {
    const char = substitution[at]!;
    if (char !== '\\') {
      literal += char;
      continue;
    }
    const next = substitution[++at];
    if (next === '\\') literal += '\\';
    else if (next !== undefined && /\d/.test(next)) {
      if (Number(next) > groups) throw new Error(`substitution "${substitution}" names group ${next}, the regex has ${groups}`);
      parts.push(literal, Number(next));
      literal = '';
    } else throw new Error(`substitution "${substitution}" has a backslash that is followed by neither a digit nor a backslash`);
  }
  parts.push(literal);
  return parts;
}
