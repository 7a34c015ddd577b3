/** Expressions of the Common Expression Language: compiled once, with Kubernetes' functions, RE2 and a bound on what an evaluation may cost. */
import { Environment, serialize, type ASTNode } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { messageOf } from '../../../base/errors.ts';
import { growthOf, type Shape } from './cost.ts';
import { registerAddresses, registerLists, registerQuantities, registerTexts } from './libraries.ts';

const MAX_AST_NODES = 4000;
const MAX_DEPTH = 100;
/** Nodes times data: more than this is not evaluated. @see https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints */
const COST_LIMIT = 10_000_000;
const MAX_CACHED = 2000;

/** A compiled expression. */
export interface Expression {
  /** Throws an Error with CEL's words: missing keys, wrong types, too high a cost. `size` is the largest collection or text among the variables. */
  evaluate(variables: Readonly<Record<string, unknown>>, size: number): unknown;
  /** Whether it reads a variable. */
  uses(variable: string): boolean;
}

/** CEL's regular expressions are RE2; the library's own are not, so calls are sent to this name. */
const MATCHES = 'matchesRE2';

const patterns = new Map<string, RE2JS>();
function compiledPattern(pattern: string): RE2JS {
  let compiled = patterns.get(pattern);
  if (!compiled) {
    if (patterns.size > 500) patterns.clear();
    patterns.set(pattern, (compiled = RE2JS.compile(pattern)));
  }
  return compiled;
}

/** An environment whose variables are dynamic. @see https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries */
function createEnvironment(variables: readonly string[]): Environment {
  const env = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false, limits: { maxAstNodes: MAX_AST_NODES, maxDepth: MAX_DEPTH } });
  for (const name of variables) env.registerVariable(name, 'dyn');
  env.registerFunction(`string.${MATCHES}(string): bool`, (text: string, pattern: string) => compiledPattern(pattern).matcher(text).find());
  env.registerFunction('string.find(string): string', (text: string, pattern: string) => {
    const matcher = compiledPattern(pattern).matcher(text);
    return matcher.find() ? (matcher.group() ?? '') : '';
  });
  env.registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) => {
    const matcher = compiledPattern(pattern).matcher(text);
    const found: string[] = [];
    while (found.length < 1000 && matcher.find()) found.push(matcher.group() ?? '');
    return found;
  });
  registerLists(env);
  registerTexts(env);
  registerAddresses(env);
  registerQuantities(env);
  registerUrls(env);
  return env;
}

/** A parsed URL, of CEL's `url()`. Parts are as written, as Go keeps them: `http://h:80` has port 80. */
class Url {
  constructor(readonly url: URL, readonly authority: string) {}
}

function parseUrl(text: string): Url | undefined {
  // Go's parser takes absolute URLs and absolute paths.
  if (text.startsWith('/')) return URL.canParse(text, 'http://none') ? new Url(new URL(text, 'http://none'), '') : undefined;
  const match = /^[a-z][a-z0-9+.-]*:(?:\/\/(?:[^@/?#]*@)?([^/?#]*))?/i.exec(text);
  return match && URL.canParse(text) ? new Url(new URL(text), match[1] ?? '') : undefined;
}

function registerUrls(env: Environment): void {
  env.registerType('URL', Url);
  env.registerFunction('isURL(string): bool', (text: string) => parseUrl(text) !== undefined);
  env.registerFunction('url(string): URL', (text: string) => {
    const parsed = parseUrl(text);
    if (!parsed) throw new Error(`URL parse error during conversion from string: ${text}`);
    return parsed;
  });
  const part = (name: string, read: (url: Url) => string): void => void env.registerFunction(`URL.${name}(): string`, read);
  part('getScheme', ({ url, authority }) => (authority === '' && url.hostname === 'none' ? '' : url.protocol.slice(0, -1)));
  part('getHost', ({ authority }) => authority);
  part('getHostname', ({ authority }) => authority.replace(/:\d*$/, '').replace(/^\[|\]$/g, ''));
  part('getPort', ({ authority }) => /:(\d*)$/.exec(authority)?.[1] ?? '');
  part('getEscapedPath', ({ url }) => url.pathname);
}

/** Calls of functions that are ours under another name. */
function renameCalls(node: unknown): void {
  if (Array.isArray(node)) node.forEach(renameCalls);
  else if (isNode(node)) {
    const { op, args } = node as { op: string; args: unknown };
    if (op === 'rcall' && Array.isArray(args) && args[0] === 'matches') args[0] = MATCHES;
    renameCalls(args);
  }
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

/** Compiles expressions over the same variables. */
export class Compiler {
  private readonly env: Environment;
  private readonly cache = new Map<string, Expression | string>();

  constructor(variables: readonly string[]) {
    this.env = createEnvironment(variables);
  }

  /** The expression, or what is wrong with it. */
  compile(text: string): Expression | string {
    let found = this.cache.get(text);
    if (found === undefined) {
      if (this.cache.size > MAX_CACHED) this.cache.clear();
      this.cache.set(text, (found = this.compileNow(text)));
    }
    return found;
  }

  private compileNow(text: string): Expression | string {
    try {
      const { ast } = this.env.parse(text);
      renameCalls(ast);
      const program = this.env.parse(serialize(ast));
      const checked = program.check();
      if (!checked.valid) return messageOf(checked.error).split('\n')[0]!;
      const shape: Shape = growthOf(ast);
      return {
        uses: (variable) => shape.names.has(variable),
        evaluate(variables, size) {
          if (shape.cost(size) > COST_LIMIT) throw new Error('validation failed due to running out of cost budget, no further validation rules will be run');
          return program(variables);
        },
      };
    } catch (thrown) {
      return messageOf(thrown).split('\n')[0]!;
    }
  }
}
