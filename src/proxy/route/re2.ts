/** RE2 patterns, loaded with the first one: most proxies never compile any, and the library is a third of the data path's text. */
import { createRequire } from 'node:module';
import type * as Re2 from 're2js';

let library: typeof Re2 | undefined;

/** Compiles a pattern. Throws RE2's complaint for a bad one. */
export function compileRe2(pattern: string): Re2.RE2JS {
  library ??= createRequire(import.meta.url)('re2js') as typeof Re2;
  return library.RE2JS.compile(pattern);
}
