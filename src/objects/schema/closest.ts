import type { Schema } from './schema.ts';
import { own } from './values.ts';

/** The known field that an unknown one was probably meant to be, or undefined. `path` is as `unknownFields` gives it. */
export function closest(schema: Schema, path: string): string | undefined {
  const names = path.split('.');
  const wrong = names.pop()!;
  let parent: Schema | undefined = schema;
  for (const name of names) {
    const depth = name.split('[').length - 1;
    parent = own(parent?.properties, name.replace(/\[.*$/, '')) ?? (typeof parent?.additionalProperties === 'object' ? parent.additionalProperties : undefined);
    for (let i = 0; i < depth; i++) parent = parent?.items;
  }
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wrong.length / 3)) + 1;
  for (const candidate of Object.keys(parent?.properties ?? {})) {
    const distance = editDistance(wrong.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    previous = row;
  }
  return previous[b.length]!;
}
