// Bundles test/conformance/run.ts and runs it: `npm run conformance -- --cases DIR [--corpus NAME] [--json FILE] [--min CORPUS=PERCENT]`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const protos = spawnSync(process.execPath, [join(root, 'scripts/build.mjs'), '--protos'], { stdio: 'inherit' });
if (protos.status !== 0) process.exit(protos.status ?? 1);
const { build } = await import('esbuild');
// Inside node_modules, so that packages that stay outside the bundle are found.
const folder = mkdtempSync(join(root, 'node_modules/.conformance-'));
try {
  const outfile = join(folder, 'run.mjs');
  await build({
    entryPoints: [join(root, 'test/conformance/run.ts')], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', sourcemap: 'linked', logLevel: 'warning',
    external: ['lmdb', 'koffi'],
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
  const run = spawnSync(process.execPath, ['--enable-source-maps', outfile, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
