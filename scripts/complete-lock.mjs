// npm writes only those platform packages into the lock file that its registry answered for, and `npm ci` then refuses the file. This adds the others. Run it after
// `npm install`; it changes nothing when the file is complete.
import { readFileSync, writeFileSync } from 'node:fs';
const lock = JSON.parse(readFileSync('package-lock.json'));
const added = [];
for (const [path, pkg] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(pkg.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] || lock.packages[`${path}/${key}`]) continue;
    const os = /(darwin|win32|linux|android|freebsd|openharmony|openbsd|sunos|netbsd|aix)/.exec(name)?.[1];
    const cpu = /riscv64/.test(name) ? 'riscv64' : /ppc64/.test(name) ? 'ppc64' : /s390x/.test(name) ? 's390x' : /loong64/.test(name) ? 'loong64' : /ia32/.test(name) ? 'ia32' : /x64/.test(name) ? 'x64' : /arm64|aarch64/.test(name) ? 'arm64' : /arm/.test(name) ? 'arm' : undefined;
    if (!os || !cpu) { console.log('unsure', name); continue; }
    lock.packages[key] = { version, cpu: [cpu], ...(pkg.dev && { dev: true }), optional: true, os: [os], ...(/musl/.test(name) && { libc: ['musl'] }), ...(name.endsWith('-gnu') && { libc: ['glibc'] }) };
    added.push(`${name}@${version}`);
  }
}
const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
lock.packages = sorted;
writeFileSync('package-lock.json', JSON.stringify(lock, null, 2) + '\n');
console.log(added.length, 'added');
