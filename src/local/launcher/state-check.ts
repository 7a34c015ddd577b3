/** Can the state directory be used, and can sidecars read this package? Asked before anything is made. */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { PROXY_UID } from '../settings.ts';
import type { StateDir } from '../state-dir.ts';
import type { Obstacle } from './checks.ts';

/** File systems that only look like one: making folders in procfs never ends. @see linux/magic.h */
const KERNEL_FILE_SYSTEMS: Readonly<Record<number, string>> = { 0x9fa0: 'procfs', 0x62656572: 'sysfs', 0x63677270: 'cgroup2', 0x27e0eb: 'cgroup', 0x64626720: 'debugfs', 0x1cd1: 'devpts' };
const CHOOSE = 'set $MELTEMI_HOME to a folder of your own';

/** Why the state directory cannot be used; undefined when a file was written and removed. */
export function stateObstacle(dir: StateDir): Obstacle | undefined {
  const { home } = dir;
  let ancestor = home;
  while (!existsSync(ancestor) && dirname(ancestor) !== ancestor) ancestor = dirname(ancestor);
  const what = (why: string): Obstacle => ({ what: `the state directory ${home} cannot be used: ${why}`, fix: CHOOSE });
  try {
    if (!statSync(ancestor).isDirectory()) return what(`${ancestor} is not a folder`);
    const kernel = KERNEL_FILE_SYSTEMS[Number(statfsSync(ancestor).type)];
    if (kernel !== undefined) return what(`${ancestor} is ${kernel}, which stores no files`);
    accessSync(ancestor, constants.W_OK | constants.X_OK);
    const probe = join(home, `.probe-${process.pid}`);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    writeFileSync(probe, 'a');
    rmSync(probe);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') return what(`${ancestor} is not writable for user ${process.getuid?.() ?? '?'}`);
    if (code === 'EROFS') return what(`${ancestor} is on a read-only file system`);
    if (code === 'ENOSPC' || code === 'EDQUOT') return { what: `the state directory ${home} cannot be used: the disk is full`, fix: `free some space there, or ${CHOOSE}` };
    return what(messageOf(error));
  }
}

/** What agents load besides the bundle. */
const MODULES = ['koffi', '@koromix'];
const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o005;

/**
 * Files of this package that user 1337, as whom sidecars run, may not read; folders above the package do not matter, because the package is shown to pods
 * by itself. A clone made with umask 077 has all of them.
 */
export function unreadableForProxy(packageFolder: string): readonly string[] {
  const found: string[] = [];
  const visit = (path: string, deep: boolean): void => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat || found.length > 0) return;
    const wanted = stat.isDirectory() ? OTHERS_ENTER : OTHERS_READ;
    const open = stat.uid === PROXY_UID || (stat.mode & wanted) === wanted;
    if (!open) found.push(path);
    else if (deep && stat.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name), true);
  };
  visit(packageFolder, false);
  visit(join(packageFolder, 'dist'), true);
  const modules = packageFolder.includes('/node_modules/') && !existsSync(join(packageFolder, 'node_modules')) ? dirname(packageFolder) : join(packageFolder, 'node_modules');
  visit(modules, false);
  for (const name of MODULES) visit(join(modules, name), true);
  return found;
}

/** As {@link unreadableForProxy}, as something a user can act on. */
export function packageObstacle(packageFolder: string): Obstacle | undefined {
  const [first] = unreadableForProxy(packageFolder);
  return first === undefined ? undefined : { what: `${first} is not readable for user ${PROXY_UID}, as whom sidecars run (made with umask 077?)`, fix: `chmod -R o+rX ${packageFolder}` };
}
