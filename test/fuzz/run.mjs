// Bundles the fuzzers and runs them. `npm run fuzz -- [--seconds N] [--target NAME] [--seed N]`
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '../..');
spawnSync(process.execPath, [join(root, 'scripts/protos.mjs')], { stdio: 'inherit' });
mkdirSync(join(root, 'build'), { recursive: true });
const out = mkdtempSync(join(root, 'build/fuzz-'));
try {
  await build({
    entryPoints: [join(import.meta.dirname, 'main.ts')], outdir: out, bundle: true, platform: 'node', format: 'esm', target: 'node20', sourcemap: 'linked', logLevel: 'warning', external: ['lmdb', 'koffi'],
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', join(out, 'main.js'), ...process.argv.slice(2)], { stdio: 'inherit', cwd: root });
  process.exitCode = status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
