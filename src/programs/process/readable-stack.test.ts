import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readableStack } from './readable-stack.ts';

const folder = mkdtempSync(join(tmpdir(), 'meltemi-stack-'));
beforeAll(async () => {
  writeFileSync(join(folder, 'broken.ts'), 'interface Unused { readonly a: number }\n\nexport function fail(): never {\n  throw new TypeError("broken");\n}\n');
  await build({ entryPoints: [join(folder, 'broken.ts')], outfile: join(folder, 'out/broken.js'), format: 'esm', sourcemap: 'linked', minifyWhitespace: true, logLevel: 'silent' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('readableStack', () => {
  it('names the source, the line and the column', () => {
    // Where `throw` stands in `function fail(){throw new …`.
    const at = pathToFileURL(join(folder, 'out/broken.js')).href;
    const error = new TypeError('broken');
    error.stack = `TypeError: broken\n    at fail (${at}:1:17)\n    at node:internal/main:1:1`;
    expect(readableStack(error)).toBe('TypeError: broken\n    at fail (broken.ts:4:3)\n    at node:internal/main:1:1');
  });

  it('leaves frames without a map as they are', () => {
    const error = new Error('x');
    error.stack = 'Error: x\n    at f (file:///nowhere/gone.js:3:4)';
    expect(readableStack(error)).toBe(error.stack);
  });

  it.each([['text', 'text'], [undefined, 'undefined'], [7, '7']])('says what %j is', (value, expected) => expect(readableStack(value)).toBe(expected));
});
