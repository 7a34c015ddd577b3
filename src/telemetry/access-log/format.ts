/** Envoy's access-log format language, compiled once to a function over a {@link TrafficRecord}. Header values of routes use the same language. */
import type { TrafficRecord } from '../traffic-record.ts';
import { compileOperator, type FormatEnvironment, type Operator } from './operators.ts';

/** What is known when a line is written; header values are computed while most of it is still missing. */
export type Known = Partial<TrafficRecord>;

export interface CompiledFormat {
  /** The text itself when it has no operator; `%%` is already one `%`. */
  readonly literal: string | undefined;
  readonly write: (known: Known) => string;
}

export interface FormatOptions {
  /** Printed for what is not known: `-` in logs (default), '' in header values. */
  readonly missing?: string;
  readonly environment?: FormatEnvironment;
}

/** JSON as `json_format` holds it. */
export type JsonTemplate = string | number | boolean | null | readonly JsonTemplate[] | { readonly [key: string]: JsonTemplate };

type Part = string | Operator;

/**
 * Compiles a format string. Throws a text that names the operator when it is unknown or its arguments are wrong.
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#format-strings
 */
export function compileFormat(text: string, options: FormatOptions = {}): CompiledFormat {
  const parts = parseParts(text, options.environment);
  const missing = options.missing ?? '-';
  if (parts.every((part) => typeof part === 'string')) {
    const literal = parts.join('');
    return { literal, write: () => literal };
  }
  return {
    literal: undefined,
    write: (known) => {
      let line = '';
      for (const part of parts) line += typeof part === 'string' ? part : (part.read(known) ?? missing);
      return line;
    },
  };
}

/**
 * Compiles `json_format`: a template of one operator keeps its type and is null when unknown, mixed text is a string. Keys keep their order; the line ends with a newline.
 * @see envoy.config.core.v3.SubstitutionFormatString.json_format
 */
export function compileJsonFormat(template: JsonTemplate, options: FormatOptions = {}): CompiledFormat {
  const write = compileJsonValue(template, options);
  return { literal: undefined, write: (known) => `${write(known)}\n` };
}

function compileJsonValue(template: JsonTemplate, options: FormatOptions): (known: Known) => string {
  if (typeof template === 'string') return compileJsonString(template, options);
  if (template === null || typeof template !== 'object') {
    const text = JSON.stringify(template);
    return () => text;
  }
  if (Array.isArray(template)) {
    const items = template.map((item) => compileJsonValue(item, options));
    return (known) => `[${items.map((item) => item(known)).join(',')}]`;
  }
  const fields = Object.entries(template).map(([key, value]) => [`${JSON.stringify(key)}:`, compileJsonValue(value, options)] as const);
  return (known) => {
    let text = '{';
    for (const [key, value] of fields) text += `${text.length > 1 ? ',' : ''}${key}${value(known)}`;
    return `${text}}`;
  };
}

function compileJsonString(text: string, options: FormatOptions): (known: Known) => string {
  const parts = parseParts(text, options.environment);
  const only = parts.length === 1 ? parts[0] : undefined;
  if (only && typeof only !== 'string') {
    return (known) => {
      const value = only.read(known);
      return value === undefined ? 'null' : typeof value === 'number' ? String(value) : JSON.stringify(value);
    };
  }
  const format = compileFormat(text, options);
  return (known) => JSON.stringify(format.write(known));
}

/** Splits a format into literals and operators; arguments in parentheses may hold `%` (START_TIME). */
function parseParts(text: string, environment: FormatEnvironment | undefined): Part[] {
  const parts: Part[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    if (text[at] !== '%') {
      literal += text[at++];
      continue;
    }
    if (text[at + 1] === '%') {
      literal += '%';
      at += 2;
      continue;
    }
    const match = OPERATOR.exec(text.slice(at));
    if (!match) throw new Error(`bad operator at position ${at} of the format: ${text.slice(at, at + 40)}`);
    if (literal) parts.push(literal);
    literal = '';
    parts.push(compileOperator(match[1]!, match[2], match[3] === undefined ? undefined : Number(match[3]), environment));
    at += match[0].length;
  }
  if (literal || parts.length === 0) parts.push(literal);
  return parts;
}

const OPERATOR = /^%([A-Z][A-Z0-9_]*)(?:\(([\s\S]*?)\))?(?::(\d+))?%/;
