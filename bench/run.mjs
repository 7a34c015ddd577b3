// `npm run bench [-- --quick] [-- --scenario PART] [-- --json FILE] [-- control-plane | -- api]`: bundles the bench and runs it. Needs root (network namespaces), wrk and h2load.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
spawnSync(process.execPath, [join(root, 'scripts/protos.mjs')], { stdio: 'inherit' });
mkdirSync(join(root, 'build'), { recursive: true });
const out = mkdtempSync(join(root, 'build/bench-'));
const flat = join(out, 'x');
try {
  await build({
    entryPoints: { main: join(import.meta.dirname, 'main.ts'), target: join(import.meta.dirname, 'target.ts'), 'control-plane': join(import.meta.dirname, 'control-plane.ts'), 'xds-clients': join(import.meta.dirname, 'xds-clients.ts'), api: join(import.meta.dirname, 'api.ts'), 'api-target': join(import.meta.dirname, 'api-target.ts'), 'data-plane': join(import.meta.dirname, 'data-plane.ts'), 'tls-clients': join(import.meta.dirname, 'tls-clients.ts') },
    outdir: flat, bundle: true, platform: 'node', format: 'esm', target: 'node20', sourcemap: 'linked', minify: true, charset: 'ascii', logLevel: 'warning', external: ['lmdb', 'koffi', 'esbuild'],
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
  const [program, args] = ['control-plane', 'api'].includes(process.argv[2]) ? [process.argv[2], process.argv.slice(3)] : ['main', process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, [join(flat, `${program}.js`), ...args], { stdio: 'inherit', env: { ...process.env, MELTEMI_ROOT: root } });
  process.exitCode = status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
