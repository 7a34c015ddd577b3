// `npm start`: the main job. Builds if needed, installs missing system tools when it may, brings the mesh up and deploys Bookinfo.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
const has = (tool) => spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;

if (!existsSync(join(root, 'dist/meltemi.js')) && run(process.execPath, [join(root, 'scripts/build.mjs')]) !== 0) process.exit(1);
if (!['ip', 'iptables-restore', 'unshare', 'kubectl'].every(has)) run('bash', [join(root, 'scripts/setup.sh')]);
process.exit(run(process.execPath, [join(root, 'dist/meltemi.js'), 'up', '--deploy', 'bookinfo', ...process.argv.slice(2)]));
