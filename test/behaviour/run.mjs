// Bundles the suite (the proxies under test are processes of their own) and runs it. `npm run behaviour -- --help`
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

if (process.argv.includes('--help')) {
  console.log(`npm run behaviour -- [--target in-process|proxy|envoy] [--case PART-OF-NAME] [--json FILE] [--slowest yes] [--soak SECONDS]`);
  process.exit(0);
}
const root = join(import.meta.dirname, '../..');
spawnSync(process.execPath, [join(root, 'scripts/protos.mjs')], { stdio: 'inherit' });
// Below the repository, so that native modules are found.
mkdirSync(join(root, 'build'), { recursive: true });
const out = mkdtempSync(join(root, 'build/behaviour-'));
const flat = join(out, 'x');
try {
  await build({
    entryPoints: ['main', 'target', 'data-plane'].map((name) => join(import.meta.dirname, `${name}.ts`)), outdir: flat, bundle: true, platform: 'node', format: 'esm', target: 'node20', sourcemap: 'linked',
    logLevel: 'warning', external: ['lmdb', 'koffi', 'esbuild'], banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', join(flat, 'main.js'), ...process.argv.slice(2)], { stdio: 'inherit', env: { ...process.env, MELTEMI_BEHAVIOUR_ROOT: root } });
  process.exitCode = status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
