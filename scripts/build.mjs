// Builds everything a user runs: protobuf code, then one bundled file per program in src/programs and per sample service. `--protos` stops after the first.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

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
/** Loaded with --require into programs that are not ours, of whatever kind and Node. */
const PRELOAD = 'pod-preload';
await build({ ...common, format: 'cjs', target: 'node18', banner: {}, sourcemap: false, entryPoints: [join(root, `src/programs/${PRELOAD}.ts`)], outfile: join(root, `dist/${PRELOAD}.cjs`) });
// Parts that a program loads when they are asked for (JSON of config dumps, YAML, iptables, DNS) are files of their own: not asked for, not in memory.
// The command line is one file: it finds programs and samples beside itself, and lives for a second.
const chunks = join(root, 'dist/chunks');
for (const program of programs) {
  const name = basename(program, '.ts');
  if (name === PRELOAD) continue;
  await build({ ...common, entryPoints: [program], outdir: join(root, 'dist'), splitting: name !== 'meltemi', chunkNames: `chunks/${name}-[name]-[hash]` });
}
// A mesh that runs while we build may still ask for a part of the last build, so parts go a day after they were last built.
const DAY_MS = 86_400_000;
for (const file of existsSync(chunks) ? readdirSync(chunks) : []) if (Date.now() - statSync(join(chunks, file)).mtimeMs > DAY_MS) rmSync(join(chunks, file));
for (const folder of [join(root, 'dist'), chunks])
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.js')))
    if (/[^\0-\xff]/.test(readFileSync(join(folder, file), 'utf8'))) throw new Error(`${join(folder, file)} holds a character outside Latin-1, which doubles the memory of its text: write it as an escape`);
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
