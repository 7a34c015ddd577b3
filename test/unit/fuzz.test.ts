/** A short run of every fuzzer, and proof that they find what they are for. By hand: `npm run fuzz -- --seconds 600`. */
import { expect, test } from 'vitest';
import { ApiError } from '../../src/kube/client/client.ts';
import { parseBody } from '../../src/kube/server/http/body.ts';
import { fuzz, mutate, randomOf } from '../fuzz/engine.ts';
import { TARGETS } from '../fuzz/targets.ts';

const RUN_MS = Number(process.env['FUZZ_MS'] ?? 400);

test.each(TARGETS.map((target) => [target.name, target] as const))('%s', async (_name, target) => {
  const { find, iterations } = await fuzz(target, Math.floor(Math.random() * 2 ** 31), RUN_MS);
  expect(find && `seed ${find.seed}, input ${find.iteration}, ${find.input.toString('base64')}: ${find.problem}`).toBeUndefined();
  expect(iterations).toBeGreaterThan(10);
}, RUN_MS + 10_000);

test('a decoder that throws is found, and its seed finds it again', async () => {
  const weak = { name: 'weak', seeds: [Buffer.from('hello world')], run: (bytes: Buffer) => {
    if (bytes.includes(0xff)) throw new Error('overrun');
  } };
  const { find } = await fuzz(weak, 7, 5000);
  expect(find?.problem).toContain('overrun');
  expect((await fuzz(weak, 7, 5000)).find?.input).toEqual(find?.input);
});

test('so is one that hangs', async () => {
  const slow = { name: 'slow', seeds: [Buffer.from('hello')], run: () => {
    for (const untilMs = performance.now() + 1100; performance.now() < untilMs; );
  } };
  expect((await fuzz(slow, 1, 3000)).find?.problem).toMatch(/it took \d+ ms/);
});

test('a YAML bomb is refused before it grows', async () => {
  const levels = Array.from({ length: 30 }, (_, level) => `a${level}: &a${level} [${level === 0 ? 'x' : Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`).join('\n');
  const fromMs = performance.now();
  await expect(parseBody(Buffer.from(levels), 'application/yaml')).rejects.toBeInstanceOf(ApiError);
  expect(performance.now() - fromMs).toBeLessThan(1000);
});

test('mutations stay bounded', () => {
  const random = randomOf(1);
  let bytes: Uint8Array = Buffer.from('seed');
  for (let round = 0; round < 500; round++) bytes = mutate(random, bytes, bytes);
  expect(bytes.length).toBeLessThanOrEqual(128 * 1024);
});
