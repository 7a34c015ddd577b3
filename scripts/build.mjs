// Builds everything a user runs: protobuf code, then one bundled file per program in src/programs and per sample service. `--protos` stops after the first.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const protos = spawnSync(process.execPath, [join(root, 'scripts/protos.mjs')], { stdio: 'inherit' });
if (protos.status !== 0) process.exit(protos.status ?? 1);
if (process.argv.includes('--protos')) process.exit(0);

const { build } = await import('esbuild');
const list = (dir) => (existsSync(dir) ? readdirSync(dir).filter((f) => f.endsWith('.ts') && !f.endsWith('.test.ts')).map((f) => join(dir, f)) : []);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const common = {
  bundle: true, platform: 'node', format: 'esm', target: 'node20', sourcemap: 'linked', legalComments: 'none', logLevel: 'warning', minifySyntax: true,
  // Comments and blanks stay in memory with the program's text; one character outside Latin-1 doubles it (4 MB in every sidecar).
  // Names stay readable through the linked source maps.
  minifyWhitespace: true, minifyIdentifiers: true, charset: 'ascii',
  define: { 'process.env.MELTEMI_BUILD_VERSION': JSON.stringify(version) },
  external: ['lmdb', 'koffi'],
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
};

const programs = list(join(root, 'src/programs'));
if (programs.length) await build({ ...common, entryPoints: programs, outdir: join(root, 'dist'), splitting: false });
const samples = existsSync(join(root, 'samples')) ? readdirSync(join(root, 'samples')).flatMap((s) => list(join(root, 'samples', s, 'src'))) : [];
if (samples.length) await build({ ...common, entryPoints: samples, outdir: join(root, 'dist/samples'), entryNames: '[name]' });
const bin = join(root, 'dist/meltemi.js');
if (existsSync(bin)) {
  const text = readFileSync(bin, 'utf8');
  if (!text.startsWith('#!')) writeFileSync(bin, `#!/usr/bin/env node\n${text}`);
  chmodSync(bin, 0o755);
  // `npx meltemi` in a clone: npm links the programs of dependencies, not the package's own.
  const link = join(root, 'node_modules/.bin/meltemi');
  rmSync(link, { force: true });
  symlinkSync('../../dist/meltemi.js', link);
}
