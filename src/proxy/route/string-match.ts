import type { StringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import { compileRegex, type TextPredicate } from './regex.ts';

/**
 * A predicate over one text. `ignore_case` does not touch regexes, as in Envoy. Throws for a bad regex, no pattern and custom matchers.
 * @see envoy.type.matcher.v3.StringMatcher
 */
export function compileStringMatcher(matcher: StringMatcher): TextPredicate {
  const { matchPattern: pattern, ignoreCase } = matcher;
  switch (pattern.case) {
    case 'safeRegex':
      return compileRegex(pattern.value.regex);
    case 'custom':
      throw new Error(`custom string matcher ${pattern.value.name} is not supported`);
    case undefined:
      throw new Error('string matcher without a pattern');
    default: {
      const test = TESTS[pattern.case];
      if (!ignoreCase) return (text) => test(text, pattern.value);
      const wanted = pattern.value.toLowerCase();
      return (text) => test(text.toLowerCase(), wanted);
    }
  }
}

const TESTS: Readonly<Record<'exact' | 'prefix' | 'suffix' | 'contains', (text: string, value: string) => boolean>> = {
  exact: (text, value) => text === value,
  prefix: (text, value) => text.startsWith(value),
  suffix: (text, value) => text.endsWith(value),
  contains: (text, value) => text.includes(value),
};
