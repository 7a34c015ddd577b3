/** How dear an expression may become, from its form alone. Pure. */
import type { ASTNode } from '@marcbachmann/cel-js';

/** What is known of an expression before it runs. */
export interface Shape {
  /** Variables it names. */
  readonly names: ReadonlySet<string>;
  /** An upper bound of the steps of an evaluation over data whose largest collection or text has `size` parts. */
  cost(size: number): number;
}

/** Every one of these runs its last arguments once for every item of its receiver. */
const MACROS = new Set(['all', 'exists', 'exists_one', 'existsOne', 'map', 'filter', 'sortBy', 'transformList', 'transformMap']);
/** These look at every character or item. */
const LINEAR = new Set(['matches', 'contains', 'indexOf', 'lastIndexOf', 'replace', 'split', 'find', 'findAll', 'sum', 'min', 'max', 'isSorted', 'join', 'format', 'reverse', 'lowerAscii', 'upperAscii']);

interface Totals {
  nodes: number;
  /** The deepest nesting of macros, linear functions counting as one more. */
  depth: number;
  /** How much larger than its data a value may grow by bound names that are used several times. */
  factor: number;
  readonly names: Set<string>;
}

/** Reads the form of an expression. */
export function growthOf(ast: ASTNode): Shape {
  const totals: Totals = { nodes: 0, depth: 0, factor: 1, names: new Set() };
  visit(ast, 0, totals);
  const { nodes, depth, factor, names } = totals;
  return { names, cost: (size) => nodes * factor * Math.max(1, size) ** depth };
}

function visit(node: unknown, depth: number, totals: Totals): void {
  if (Array.isArray(node)) {
    for (const one of node) visit(one, depth, totals);
    return;
  }
  if (typeof node !== 'object' || node === null || !('op' in node) || !('args' in node)) return;
  const { op, args } = node as { op: string; args: unknown };
  totals.nodes++;
  totals.depth = Math.max(totals.depth, depth);
  if (op === 'id') totals.names.add(String(args));
  if (op !== 'rcall' || !Array.isArray(args)) return visit(args, depth, totals);
  const [name, receiver, parameters] = args as [string, unknown, unknown];
  // `size` items of a list of texts that are added up: a result may be as large as all of its input, so chains count like nests.
  visit(receiver, depth, totals);
  if (MACROS.has(name)) return visit(parameters, depth + 1, totals);
  if (LINEAR.has(name)) totals.depth = Math.max(totals.depth, depth + 1);
  if (name === 'bind' && Array.isArray(parameters)) totals.factor *= 1 + countUses(parameters[2], (parameters[0] as { args?: unknown } | undefined)?.args);
  visit(parameters, depth, totals);
}

function countUses(node: unknown, name: unknown): number {
  if (Array.isArray(node)) return node.reduce<number>((sum, one) => sum + countUses(one, name), 0);
  if (typeof node !== 'object' || node === null || !('op' in node) || !('args' in node)) return 0;
  const { op, args } = node as { op: string; args: unknown };
  return op === 'id' ? Number(args === name) : countUses(args, name);
}
