// Runs a parsed template over data.
import type { Operand, Pipeline, TemplateNode, GoTemplate, Command } from './parse.ts';

/** Functions by name; they get evaluated arguments and may throw a plain sentence. */
export type TemplateFunctions = ReadonlyMap<string, (...args: readonly unknown[]) => unknown>;

/** Most text a template may write, text of nested blocks counted again: a loop over made-up data must not fill the memory. */
const MAX_WRITTEN = 16 * 1024 * 1024;
const MAX_DEPTH = 100;

/** The template's output for `data`. Throws a plain sentence on unknown functions, templates and variables. */
export function renderGoTemplate(template: GoTemplate, data: unknown, functions: TemplateFunctions): string {
  return new Run(template, functions).render(template.body, data);
}

/** Go's truth: false, 0, nil, and empty strings, lists and maps are not. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** What an action prints. */
export function printed(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return `[${value.map(printed).join(' ')}]`;
  if (typeof value === 'object') return `map[${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, member]) => `${key}:${printed(member)}`).join(' ')}]`;
  return String(value as number | boolean);
}

class Run {
  private scopes: Map<string, unknown>[] = [new Map()];
  private length = 0;
  private depth = 0;

  constructor(private readonly template: GoTemplate, private readonly functions: TemplateFunctions) {}

  render(nodes: readonly TemplateNode[], dot: unknown): string {
    const outer = this.scopes;
    this.scopes = [new Map([['$', dot]])];
    if (++this.depth > MAX_DEPTH) throw new Error('templates call each other too deeply');
    const text = this.nodes(nodes, dot);
    this.depth--;
    this.scopes = outer;
    return text;
  }

  private nodes(nodes: readonly TemplateNode[], dot: unknown): string {
    let text = '';
    for (const node of nodes) {
      const part = this.node(node, dot);
      this.length += part.length;
      if (this.length > MAX_WRITTEN) throw new Error('the template writes too much');
      text += part;
    }
    return text;
  }

  private node(node: TemplateNode, dot: unknown): string {
    if (node.kind === 'text') return node.text;
    if (node.kind === 'action') {
      const value = this.evaluate(node.pipeline, dot);
      return node.pipeline.variables.length > 0 ? '' : printed(value);
    }
    if (node.kind === 'template') {
      const body = this.template.definitions.get(node.name);
      if (!body) throw new Error(`template ${JSON.stringify(node.name)} is not defined`);
      return this.render(body, node.pipeline ? this.evaluate(node.pipeline, dot) : undefined);
    }
    this.scopes.push(new Map());
    const text = node.kind === 'range' ? this.range(node, dot) : this.conditional(node, dot);
    this.scopes.pop();
    return text;
  }

  private conditional(node: Extract<TemplateNode, { kind: 'if' | 'with' | 'range' }>, dot: unknown): string {
    const value = this.evaluate(node.pipeline, dot);
    if (!isTrue(value)) return this.nodes(node.otherwise, dot);
    return this.nodes(node.body, node.kind === 'with' ? value : dot);
  }

  private range(node: Extract<TemplateNode, { kind: 'if' | 'with' | 'range' }>, dot: unknown): string {
    const value = this.evaluate({ ...node.pipeline, variables: [] }, dot);
    const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(value) ? value.map((item: unknown, index) => [index, item] as const)
      : typeof value === 'object' && value !== null ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
      : typeof value === 'number' ? Array.from({ length: Math.min(value, 10_000) }, (_, index) => [index, index] as const) : [];
    if (entries.length === 0) return this.nodes(node.otherwise, dot);
    const { variables } = node.pipeline;
    return entries.map(([key, item]) => {
      const scope = new Map<string, unknown>();
      if (variables.length === 1) scope.set(variables[0]!, item);
      if (variables.length === 2) scope.set(variables[0]!, key).set(variables[1]!, item);
      this.scopes.push(scope);
      const text = this.nodes(node.body, item);
      this.scopes.pop();
      return text;
    }).join('');
  }

  private evaluate(pipeline: Pipeline, dot: unknown): unknown {
    let value: unknown;
    pipeline.commands.forEach((command, index) => (value = this.command(command, dot, index === 0 ? [] : [value])));
    for (const name of pipeline.variables) this.assign(name, value, pipeline.assigns);
    return value;
  }

  private assign(name: string, value: unknown, existing: boolean): void {
    const scope = existing ? [...this.scopes].reverse().find((one) => one.has(name)) : this.scopes[this.scopes.length - 1];
    if (!scope) throw new Error(`undefined variable ${name}`);
    scope.set(name, value);
  }

  private command({ operands }: Command, dot: unknown, last: readonly unknown[]): unknown {
    const [first, ...rest] = operands;
    if (first?.kind === 'call') {
      const call = this.functions.get(first.name);
      if (!call) throw new Error(`function ${JSON.stringify(first.name)} is not defined`);
      // `and` and `or` look at no more than they need.
      if ((first.name === 'and' || first.name === 'or') && last.length === 0) return this.shortCircuit(first.name, rest, dot);
      return call(...rest.map((operand) => this.operand(operand, dot)), ...last);
    }
    const value = this.operand(first!, dot);
    if (rest.length + last.length === 0) return value;
    if (typeof value === 'function') return (value as (...args: unknown[]) => unknown)(...rest.map((operand) => this.operand(operand, dot)), ...last);
    throw new Error('a value that is no function is given arguments');
  }

  private shortCircuit(name: 'and' | 'or', operands: readonly Operand[], dot: unknown): unknown {
    let value: unknown;
    for (const operand of operands) {
      value = this.operand(operand, dot);
      if (isTrue(value) === (name === 'or')) return value;
    }
    return value;
  }

  private operand(operand: Operand, dot: unknown): unknown {
    if (operand.kind === 'literal') return operand.value;
    if (operand.kind === 'field') return lookup(dot, operand.names);
    if (operand.kind === 'call') return this.command({ operands: [operand] }, dot, []);
    if (operand.kind === 'pipeline') return lookup(this.evaluate(operand.pipeline, dot), operand.names);
    const scope = [...this.scopes].reverse().find((one) => one.has(operand.name));
    if (!scope) throw new Error(`undefined variable ${operand.name}`);
    return lookup(scope.get(operand.name), operand.names);
  }
}

/** Go's exported fields are our JSON members: `.Spec.ServiceAccountName` is `spec.serviceAccountName`. Getters (`GetTracing`) too. */
function lookup(value: unknown, names: readonly string[]): unknown {
  for (const name of names) {
    if (typeof value !== 'object' || value === null) return undefined;
    const map = value as Readonly<Record<string, unknown>>;
    const key = [name, lowerFirst(name), name.startsWith('Get') ? lowerFirst(name.slice(3)) : name].find((candidate) => Object.hasOwn(map, candidate));
    value = key === undefined ? undefined : map[key];
  }
  return value;
}

/** `APIVersion` → `apiVersion`, `Name` → `name`. */
function lowerFirst(name: string): string {
  return name.replace(/^[A-Z]+(?=[A-Z][a-z]|$)|^[A-Z]/, (head) => head.toLowerCase());
}
