// Go's text/template, as far as injection templates use it: text to a tree. @see https://pkg.go.dev/text/template

/** A value inside an action. */
export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  /** `.A.B`; no names is the dot itself. */
  | { readonly kind: 'field'; readonly names: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly names: readonly string[] }
  | { readonly kind: 'call'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly names: readonly string[] };

/** `f a b`: the first operand and what it is applied to. */
export interface Command {
  readonly operands: readonly Operand[];
}

/** `$v := a | b | c`. */
export interface Pipeline {
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | { readonly kind: 'if' | 'with' | 'range'; readonly pipeline: Pipeline; readonly body: readonly TemplateNode[]; readonly otherwise: readonly TemplateNode[] }
  | { readonly kind: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined };

/** A parsed text: its body and what it `define`s. */
export interface GoTemplate {
  readonly body: readonly TemplateNode[];
  readonly definitions: ReadonlyMap<string, readonly TemplateNode[]>;
}

/** Throws a plain sentence with the line on anything that is not a template. */
export function parseGoTemplate(text: string): GoTemplate {
  const parser = new Parser(split(text));
  const body = parser.nodes([]);
  return { body, definitions: parser.definitions };
}

type Piece = { readonly text: string } | { readonly action: string; readonly line: number };

/** Text and actions, with `{{-` and `-}}` already taking their blanks. */
function split(text: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  for (;;) {
    const open = text.indexOf('{{', at);
    let plain = text.slice(at, open < 0 ? undefined : open);
    if (trimNext) plain = plain.replace(/^[ \t\r\n]+/, '');
    if (open < 0) return plain === '' ? pieces : [...pieces, { text: plain }];
    const line = text.slice(0, open).split('\n').length;
    const trimLeft = /^\{\{-\s/.test(text.slice(open, open + 4));
    if (trimLeft) plain = plain.replace(/[ \t\r\n]+$/, '');
    if (plain !== '') pieces.push({ text: plain });
    const close = closing(text, open + 2, line);
    let action = text.slice(open + (trimLeft ? 3 : 2), close);
    trimNext = /\s-$/.test(action);
    if (trimNext) action = action.slice(0, -1);
    if (!/^\s*\/\*/.test(action)) pieces.push({ action: action.trim(), line });
    at = close + 2;
  }
}

/** Index of the `}}` of an action, past strings and comments. */
function closing(text: string, from: number, line: number): number {
  const pattern = /\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)'|\}\}|[\s\S]/gy;
  pattern.lastIndex = from;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) if (match[0] === '}}') return match.index;
  throw new Error(`line ${line}: unclosed action`);
}

const TOKEN = /\s+|(?<string>"(?:[^"\\]|\\.)*")|(?<raw>`[^`]*`)|(?<char>'(?:[^'\\]|\\.)')|(?<number>[+-]?\d[\w.]*)|(?<variable>\$\w*)|(?<field>\.\w*)|(?<word>[A-Za-z_]\w*)|(?<op>:=|[=|(),])/gy;

interface Token {
  readonly type: 'string' | 'number' | 'variable' | 'field' | 'word' | 'op';
  readonly text: string;
  /** No blank before it: `$x.A` is one operand, `$x .A` are two. */
  readonly joined: boolean;
}

function tokenize(action: string, line: number): Token[] {
  const tokens: Token[] = [];
  let joined = false;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < action.length) {
    const match = TOKEN.exec(action);
    if (!match) throw new Error(`line ${line}: unexpected text in action {{${action}}}`);
    const { string, raw, char, number, variable, field, word, op } = match.groups as Partial<Record<string, string>>;
    const push = (type: Token['type'], text: string): void => void tokens.push({ type, text, joined });
    if (string !== undefined) push('string', unquote(string, line));
    else if (raw !== undefined) push('string', raw.slice(1, -1));
    else if (char !== undefined) push('number', String(char.codePointAt(1)));
    else if (number !== undefined) push('number', number);
    else if (variable !== undefined) push('variable', variable);
    else if (field !== undefined) push('field', field);
    else if (word !== undefined) push('word', word);
    else if (op !== undefined) push('op', op);
    joined = match[0].trim() !== '';
  }
  return tokens;
}

function unquote(text: string, line: number): string {
  try {
    return JSON.parse(text.replace(/\\'/g, "'").replace(/\\x([0-9a-f]{2})/gi, '\\u00$1')) as string;
  } catch {
    throw new Error(`line ${line}: bad string ${text}`);
  }
}

class Parser {
  readonly definitions = new Map<string, readonly TemplateNode[]>();
  private at = 0;
  private lastEnd = '';

  constructor(private readonly pieces: readonly Piece[]) {}

  /** Reads until one of the closing words, which stays in `lastEnd` as the whole action. */
  nodes(until: readonly string[]): TemplateNode[] {
    const result: TemplateNode[] = [];
    while (this.at < this.pieces.length) {
      const piece = this.pieces[this.at++]!;
      if ('text' in piece) {
        result.push({ kind: 'text', text: piece.text });
        continue;
      }
      const [, word = '', rest = ''] = /^(\w*)\s*([\s\S]*)$/.exec(piece.action) ?? [];
      if (until.includes(word)) {
        this.lastEnd = piece.action;
        return result;
      }
      const node = this.action(word, rest, piece.action, piece.line);
      if (node) result.push(node);
    }
    if (until.length > 0) throw new Error('unexpected end of template: an end is missing');
    return result;
  }

  private action(word: string, rest: string, action: string, line: number): TemplateNode | undefined {
    if (word === 'if' || word === 'with' || word === 'range') return this.branch(word, rest, line);
    if (word === 'define' || word === 'block') {
      const [name, ...args] = tokenize(rest, line);
      this.definitions.set(name?.text ?? '', this.nodes(['end']));
      return word === 'block' ? { kind: 'template', name: name?.text ?? '', pipeline: new PipelineReader(args, line).pipeline() } : undefined;
    }
    if (word === 'template') {
      const [name, ...args] = tokenize(rest, line);
      return { kind: 'template', name: name?.text ?? '', pipeline: args.length > 0 ? new PipelineReader(args, line).pipeline() : undefined };
    }
    if (['end', 'else', 'break', 'continue'].includes(word)) throw new Error(`line ${line}: unexpected {{${action}}}`);
    return { kind: 'action', pipeline: new PipelineReader(tokenize(action, line), line).pipeline() };
  }

  private branch(kind: 'if' | 'with' | 'range', rest: string, line: number): TemplateNode {
    const pipeline = new PipelineReader(tokenize(rest, line), line).pipeline();
    const body = this.nodes(['end', 'else']);
    if (this.lastEnd === 'end') return { kind, pipeline, body, otherwise: [] };
    const chained = /^else\s+(if|with)\s+([\s\S]*)$/.exec(this.lastEnd);
    const otherwise = chained ? [this.branch(chained[1] as 'if' | 'with', chained[2]!, line)] : this.nodes(['end']);
    return { kind, pipeline, body, otherwise };
  }
}

class PipelineReader {
  private at = 0;

  constructor(private readonly tokens: readonly Token[], private readonly line: number) {}

  pipeline(): Pipeline {
    const result = this.read();
    if (this.at < this.tokens.length) throw new Error(`line ${this.line}: unexpected ${JSON.stringify(this.tokens[this.at]!.text)}`);
    return result;
  }

  private read(): Pipeline {
    const variables: string[] = [];
    let assigns = false;
    const assignment = this.tokens.findIndex((token, index) => index >= this.at && token.type === 'op' && (token.text === ':=' || token.text === '='));
    if (assignment > this.at && this.tokens.slice(this.at, assignment).every((token) => token.type === 'variable' || token.text === ',')) {
      variables.push(...this.tokens.slice(this.at, assignment).filter((token) => token.type === 'variable').map((token) => token.text));
      assigns = this.tokens[assignment]!.text === '=';
      this.at = assignment + 1;
    }
    const commands = [this.command()];
    while (this.tokens[this.at]?.text === '|' && this.tokens[this.at]?.type === 'op') {
      this.at++;
      commands.push(this.command());
    }
    return { variables, assigns, commands };
  }

  private command(): Command {
    const operands: Operand[] = [];
    for (let token = this.tokens[this.at]; token && !(token.type === 'op' && (token.text === '|' || token.text === ')')); token = this.tokens[this.at]) operands.push(this.operand());
    if (operands.length === 0) throw new Error(`line ${this.line}: missing value`);
    return { operands };
  }

  private operand(): Operand {
    const token = this.tokens[this.at++]!;
    if (token.type === 'string') return { kind: 'literal', value: token.text };
    if (token.type === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.type === 'variable') return { kind: 'variable', name: token.text, names: this.chain() };
    if (token.type === 'field') return { kind: 'field', names: [...(token.text === '.' ? [] : [token.text.slice(1)]), ...this.chain()] };
    if (token.type === 'word') return CONSTANTS.has(token.text) ? { kind: 'literal', value: CONSTANTS.get(token.text)! } : { kind: 'call', name: token.text };
    if (token.text !== '(') throw new Error(`line ${this.line}: unexpected ${JSON.stringify(token.text)}`);
    const pipeline = this.read();
    if (this.tokens[this.at++]?.text !== ')') throw new Error(`line ${this.line}: a parenthesis is not closed`);
    return { kind: 'pipeline', pipeline, names: this.chain() };
  }

  private chain(): string[] {
    const names: string[] = [];
    for (let token = this.tokens[this.at]; token?.type === 'field' && token.joined; token = this.tokens[this.at]) {
      names.push(token.text.slice(1));
      this.at++;
    }
    return names;
  }
}

const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([['true', true], ['false', false], ['nil', null]]);
