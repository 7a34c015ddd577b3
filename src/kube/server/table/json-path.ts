import { isObject } from '../json.ts';

type Step = { readonly kind: 'field'; readonly name: string } | { readonly kind: 'index'; readonly index: number } | { readonly kind: 'all' } | { readonly kind: 'filter'; readonly path: readonly Step[]; readonly value: string };

/** Compiles the JSONPath of a printer column: fields, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. Undefined when it is something else. */
export function compileJsonPath(text: string): ((value: unknown) => unknown[]) | undefined {
  const steps = parse(text.startsWith('$') ? text.slice(1) : text);
  return steps && ((value) => walk([value], steps));
}

function parse(text: string): Step[] | undefined {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== '') {
    const match = /^\.((?:[^.[\]\\]|\\.)+)|^\[(\d+)\]|^(?:\[\*\]|\.\*)|^\['([^']*)'\]|^\[\?\(@((?:\.[\w-]+)+)\s*==\s*["']([^"']*)["']\)\]/.exec(rest);
    if (!match) return undefined;
    const [whole, field, index, quoted, filterPath, filterValue] = match;
    if (field !== undefined && field !== '*') steps.push({ kind: 'field', name: field.replace(/\\(.)/g, '$1') });
    else if (quoted !== undefined) steps.push({ kind: 'field', name: quoted });
    else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
    else if (filterPath !== undefined) steps.push({ kind: 'filter', path: parse(filterPath) ?? [], value: filterValue ?? '' });
    else steps.push({ kind: 'all' });
    rest = rest.slice(whole.length);
  }
  return steps;
}

function walk(values: unknown[], steps: readonly Step[]): unknown[] {
  let current = values;
  for (const step of steps) {
    current = current.flatMap((value) => {
      if (step.kind === 'field') return isObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
      if (step.kind === 'index') return Array.isArray(value) && step.index < value.length ? [value[step.index]] : [];
      const items: unknown[] = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
      return step.kind === 'all' ? items : items.filter((item) => walk([item], step.path).some((found) => String(found) === step.value));
    });
  }
  return current;
}
