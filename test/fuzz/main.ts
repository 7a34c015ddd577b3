/** `npm run fuzz`: every decoder for a while; the last line is `N passed, N failed`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fuzz } from './engine.ts';
import { TARGETS } from './targets.ts';

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const chosen = TARGETS.filter(({ name }) => option('target') === undefined || name === option('target'));
if (chosen.length === 0) throw new Error(`there is no target ${option('target')}: ${TARGETS.map(({ name }) => name).join(', ')}`);
const seconds = Number(option('seconds') ?? 60);
const seed = Number(option('seed') ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed}, ${seconds} s for ${chosen.length} decoders`);
let failed = 0;
for (const target of chosen) {
  const { iterations, find } = await fuzz(target, seed, (seconds * 1000) / chosen.length);
  if (find === undefined) {
    console.log(`  ok    ${target.name}: ${iterations} inputs`);
    continue;
  }
  failed++;
  const folder = join(process.cwd(), 'build/fuzz');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${target.name}-${find.seed}-${find.iteration}`);
  writeFileSync(file, find.input);
  console.log(`  FAIL  ${target.name}: input ${find.iteration} of seed ${find.seed}, kept in ${file}\n        base64 ${find.input.subarray(0, 600).toString('base64')}\n        ${find.problem.replaceAll('\n', '\n        ')}`);
}
console.log(`fuzz: ${chosen.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
