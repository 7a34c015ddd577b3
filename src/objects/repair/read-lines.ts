/** Reads YAML that is none: lines into tokens, whatever their indentation. */
import { parse } from 'yaml';
import { isObject } from '../schema/values.ts';
import { addMember, OPEN, tokensOf, type Token } from './tokens.ts';

/** What a text says, and what of it was left out. */
export interface ReadLines {
  readonly tokens: readonly Token[];
  /** Something was cut out of the text (`...`, `<code hidden>`): what is missing is not the author's mistake. */
  readonly abridged: boolean;
  /** Lines that are no YAML, with their numbers. */
  readonly noise: readonly { readonly line: number; readonly text: string }[];
  /** What was done to the text itself. */
  readonly notes: readonly string[];
}

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/** A flow collection that is not closed by then is none. */
const MAX_FLOW_LINES = 20;
const KEY = /^("(?:[^"\\]|\\.)*"|'[^']*'|(?!\{(?!\{))[\w.$/{}-]+(?:\[[\w.-]+\])?)\s*:(?:\s+(.*))?$/;
const ELLIPSIS = /^(?:\.{3}|\u2026|<[^>]*>|\[\.{3}\]|#\s*\.{3})$/;

/** Reads one document. */
export function readLines(text: string, firstLine = 1): ReadLines {
  const notes: string[] = [];
  const lines = splitLines(text, firstLine, notes);
  const reader = new Reader(lines, notes);
  reader.read();
  return { tokens: reader.tokens, abridged: reader.abridged, noise: reader.noise, notes };
}

function splitLines(text: string, firstLine: number, notes: string[]): readonly Line[] {
  let raw = text.split(/\r?\n/);
  const written = raw.filter((line) => line.trim() !== '');
  // Listings and editors number their lines.
  const numbered = written.length > 1 && written.filter((line) => /^\s*\d+(\s|$)/.test(line)).length > written.length * 0.8;
  if (numbered) {
    // All numbers stand in a gutter of one width.
    const width = Math.max(...written.map((line) => /^\s*\d*/.exec(line)![0].length)) + 1;
    raw = raw.map((line) => line.replace(/^(\s*\d+)(.*)$/, (_, number: string, rest: string) => rest.slice(Math.max(0, Math.min(width - number.length, rest.length - rest.trimStart().length)))));
    notes.push('line numbers are not part of YAML');
  }
  if (raw.some((line) => /^ *\t/.test(line))) notes.push('tabs cannot indent YAML');
  if (raw.some((line) => line.includes('**'))) notes.push('asterisks of the text around it are not part of YAML');
  return raw.map((line, index) => {
    const plain = line.replace(/^[ \t]+/, (space) => space.replaceAll('\t', '  ')).replaceAll('**', '');
    const text_ = plain.trimStart();
    return { number: firstLine + index, indent: plain.length - text_.length, text: text_.trimEnd() };
  });
}

class Reader {
  readonly tokens: Token[] = [];
  readonly noise: { line: number; text: string }[] = [];
  abridged = false;
  private index = 0;

  constructor(private readonly lines: readonly Line[], private readonly notes: string[]) {}

  read(): void {
    for (; this.index < this.lines.length; this.index++) {
      const line = this.lines[this.index]!;
      if (line.text === '' || line.text === '---' || line.text.startsWith('```') || (line.text.startsWith('#') && !ELLIPSIS.test(line.text))) continue;
      if (ELLIPSIS.test(line.text)) this.skip(line);
      else this.readLine(line);
    }
  }

  private skip({ number, text }: Line): void {
    this.abridged = true;
    this.notes.push(`line ${number}: "${text}" stands for something that was left out`);
  }

  private readLine({ number, indent, text }: Line): void {
    const dash = /^-(\s+|$)/.exec(text);
    const rest = dash ? text.slice(dash[0].length) : text;
    const keyColumn = indent + (dash?.[0].length ?? 0);
    const match = KEY.exec(withoutComment(rest));
    if (match) return this.readMember(match, { line: number, column: indent, keyColumn, dash: dash !== null, key: unquoted(match[1]!) });
    if (dash) {
      const value = rest === '' ? OPEN : this.readValue(rest, number);
      if (typeof value === 'object' && value !== null) this.addFlowItem(value, indent, number);
      else this.tokens.push({ line: number, column: indent, keyColumn: indent, dash: true, key: undefined, value });
      return;
    }
    this.readContinuation(text, indent, number);
  }

  private addFlowItem(value: object, column: number, line: number): void {
    this.tokens.push(...tokensOf([value], column, line));
  }

  private readMember(match: RegExpExecArray, token: Omit<Token, 'value'>): void {
    const text = match[2] ?? '';
    if (text === '') this.tokens.push({ ...token, value: OPEN });
    else if (/^[|>][+-]?\d*$/.test(text)) this.tokens.push({ ...token, value: this.readBlock(token.keyColumn, text) });
    else addMember(this.tokens, this.readValue(text, token.line), token);
  }

  /** A flow collection or a scalar on a line of its own belongs to the key before it. Anything else is no YAML. */
  private readContinuation(text: string, indent: number, line: number): void {
    const last = this.tokens.at(-1);
    const open = last?.value === OPEN;
    if (open && /^[[{]/.test(text)) {
      const value = this.readValue(text, line);
      const empty = (Array.isArray(value) && value.length === 0) || (isObject(value) && Object.keys(value).length === 0);
      if (empty) this.tokens[this.tokens.length - 1] = { ...last, value };
      else this.tokens.push(...tokensOf(value, indent, line));
    } else if (open && /^\S+$/.test(text)) {
      this.tokens[this.tokens.length - 1] = { ...last, value: this.readValue(text, line) };
      this.notes.push(`line ${line}: "${text}" is the value of ${last.key ?? 'the item'} and stands behind it`);
    } else this.noise.push({ line, text });
  }

  /** Lines of a literal: all that are indented deeper than their key. */
  private readBlock(column: number, style: string): string {
    const block: Line[] = [];
    while (this.index + 1 < this.lines.length) {
      const next = this.lines[this.index + 1]!;
      if (next.text !== '' && next.indent <= column) break;
      block.push(next);
      this.index++;
    }
    while (block.at(-1)?.text === '') block.pop();
    const base = block.find(({ text }) => text !== '')?.indent ?? 0;
    const lines = block.map(({ indent, text }) => ' '.repeat(Math.max(0, indent - base)) + text);
    const body = style.startsWith('>') ? lines.join(' ') : lines.join('\n');
    return style.includes('-') || body === '' ? body : `${body}\n`;
  }

  /** A scalar, or a flow collection that may go on on the next lines. What cannot be parsed is taken as text. */
  private readValue(text: string, line: number): unknown {
    let whole = text;
    for (let used = 0; used <= MAX_FLOW_LINES; used++) {
      try {
        const value = parse(whole, { maxAliasCount: 0 }) as unknown;
        this.index += used;
        return value instanceof Date ? whole : value;
      } catch {
        const next = this.lines.find(({ number }) => number === line + used + 1);
        if (!/^[[{"']/.test(text) || !next) break;
        whole += ` ${next.text}`;
      }
    }
    const open = /^(["'])([^"']*)$/.exec(withoutComment(text));
    if (!open) return withoutComment(text);
    this.notes.push(`line ${line}: the quote is not closed`);
    return open[2];
  }
}

/** Comments begin with ` #`, outside of quotes. */
function withoutComment(text: string): string {
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const letter = text[index]!;
    if (quote !== '') quote = letter === quote ? '' : quote;
    else if (letter === '"' || letter === "'") quote = letter;
    else if (letter === '#' && index > 0 && /\s/.test(text[index - 1]!)) return text.slice(0, index).trimEnd();
  }
  return text;
}

function unquoted(key: string): string {
  return /^["']/.test(key) ? key.slice(1, -1) : key;
}
