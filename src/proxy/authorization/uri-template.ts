import { compileRegex } from '../route/regex.ts';

/** What one segment may hold: path characters without `*`, `=` and `/`. */
const SEGMENT = "[a-zA-Z0-9\\-._~%!$&'()+,;:@]+";
const REST = "[a-zA-Z0-9\\-._~%!$&'()+,;:@/]*";
/** Envoy's own limit. */
const MAX_OPERATORS = 5;

/**
 * Compiles a template of Envoy: a segment `*` is any one segment, `**` any number of them. Named variables are not offered.
 * @throws Error for anything else, as the data plane refuses it.
 * @see envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig
 */
export function compileUriTemplate(template: string): (path: string) => boolean {
  if (!template.startsWith('/')) throw new Error(`path template "${template}" does not start with /`);
  let operators = 0;
  let restSeen = false;
  const segments = template.slice(1).split('/').map((segment) => {
    if (segment === '*' || segment === '**') {
      operators++;
      if (restSeen) throw new Error(`path template "${template}": an operator follows **`);
      restSeen = segment === '**';
      return segment === '*' ? SEGMENT : REST;
    }
    if (!/^[a-zA-Z0-9\-._~%!$&'()+,;:@]*$/.test(segment)) throw new Error(`path template "${template}": "${segment}" is not a segment`);
    return segment.replace(/[.$()+]/g, '\\$&');
  });
  if (operators > MAX_OPERATORS) throw new Error(`path template "${template}" has more than ${MAX_OPERATORS} operators`);
  return compileRegex(`/${segments.join('/')}`);
}
