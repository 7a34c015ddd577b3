import { describe, expect, it } from 'vitest';
import { planRoot, renderFstab, type HostView, type RootRequest } from './rootfs.ts';

/** A host as a table: `null` is a directory, `-> x` a link, other text a file. */
function host(table: Readonly<Record<string, string | null>>): HostView {
  const kindOf = (value: string | null | undefined) => (value === undefined ? undefined : value === null ? 'directory' : value.startsWith('-> ') ? 'link' : 'file');
  return {
    kind: (path) => (path === '/' ? 'directory' : kindOf(table[path])),
    list: (path) => Object.keys(table).filter((key) => key.slice(0, key.lastIndexOf('/')) === (path === '/' ? '' : path)).map((key) => key.slice(key.lastIndexOf('/') + 1)),
    link: (path) => table[path]!.slice(3),
  };
}

const debian = host({
  '/usr': null, '/bin': '-> usr/bin', '/usr/bin': null, '/etc': null, '/etc/passwd': 'x', '/etc/ssl': null, '/etc/mtab': '-> ../proc/self/mounts',
  '/var': null, '/var/lib': null, '/var/lib/dpkg': null, '/var/run': '-> /run', '/run': null, '/run/dbus': null, '/tmp': null, '/tmp/app.js': 'x',
});
const plan = (request: Partial<RootRequest>) => planRoot({ files: [], mounts: [], ...request }, debian);
const paths = (items: readonly { readonly path: string }[]) => items.map((item) => item.path);

describe('planRoot', () => {
  it('binds what needs nothing as a whole and keeps links', () => {
    const result = plan({});
    expect(result.mounts).toContainEqual({ source: '/usr', target: '/usr' });
    expect(result.mounts).toContainEqual({ source: '/var', target: '/var' });
    expect(result.links).toContainEqual({ path: '/bin', target: 'usr/bin' });
  });
  it('makes /etc private with links into the original, and /run empty', () => {
    const result = plan({ files: [{ path: '/etc/hosts', content: 'h' }] });
    expect(result.links).toContainEqual({ path: '/etc/passwd', target: '/.host/etc/passwd' });
    expect(result.links).toContainEqual({ path: '/etc/mtab', target: '../proc/self/mounts' });
    expect(result.mounts).toContainEqual({ source: '/etc', target: '/.host/etc' });
    expect(result.files).toContainEqual({ path: '/etc/hosts', content: 'h' });
    expect(paths(result.links).filter((path) => path.startsWith('/run'))).toEqual([]);
    expect(result.links).toContainEqual({ path: '/tmp/app.js', target: '/.host/tmp/app.js' });
  });
  it('follows /var/run to /run for the token, without touching /var', () => {
    const result = plan({ mounts: [{ source: '/v/token', target: '/var/run/secrets/tokens' }] });
    expect(result.mounts.at(-1)).toEqual({ source: '/v/token', target: '/run/secrets/tokens', readOnly: false });
    expect(result.mounts).toContainEqual({ source: '/var', target: '/var' });
    expect(paths(result.directories)).toContain('/run/secrets/tokens');
  });
  it('makes the parents of a missing mount point private, and only one bind of the original', () => {
    const result = plan({ mounts: [{ source: '/v/data', target: '/var/lib/istio/data' }] });
    expect(result.links).toContainEqual({ path: '/var/lib/dpkg', target: '/.host/var/lib/dpkg' });
    expect(paths(result.directories)).toContain('/var/lib/istio/data');
    expect(result.mounts.filter((mount) => mount.source.startsWith('/var'))).toEqual([{ source: '/var', target: '/.host/var' }]);
  });
  it('mounts at the top, over a host directory, and a file', () => {
    const result = plan({ mounts: [{ source: '/v/a', target: '/data' }, { source: '/v/b', target: '/usr' }, { source: '/v/c', target: '/etc/ssl/x.pem', isFile: true }] });
    expect(paths(result.directories)).toEqual(expect.arrayContaining(['/data', '/usr', '/etc/ssl']));
    expect(paths(result.files)).toContain('/etc/ssl/x.pem');
    expect(result.mounts.filter((mount) => mount.target === '/usr')).toEqual([{ source: '/v/b', target: '/usr', readOnly: false }]);
  });
  it('mounts one volume inside another, whatever their order', () => {
    const result = plan({ mounts: [{ source: '/v/crl', target: '/var/run/secrets/istio/crl' }, { source: '/v/ca', target: '/var/run/secrets/istio' }] });
    expect(result.insideVolumes).toEqual([{ path: '/v/ca/crl', isFile: false }]);
    expect(result.mounts.slice(-2).map((mount) => mount.source)).toEqual(['/v/ca', '/v/crl']);
  });
  it('refuses a mount below a file and a link loop', () => {
    expect(() => plan({ mounts: [{ source: '/v', target: '/etc/passwd/x' }] })).toThrow('not a directory');
    expect(() => planRoot({ files: [], mounts: [{ source: '/v', target: '/a/x' }] }, host({ '/a': '-> /b', '/b': '-> /a', '/etc': null, '/run': null, '/tmp': null }))).toThrow('too many links');
  });
  it('cannot be led out of the root', () => {
    expect(plan({ mounts: [{ source: '/v', target: '/../../x' }] }).mounts.at(-1)?.target).toBe('/x');
  });
});

it('renderFstab writes blanks in octal', () => {
  expect(renderFstab({ directories: [], links: [], files: [], insideVolumes: [], mounts: [{ source: '/a b', target: '/c', readOnly: true }] }, '/r')).toBe('/r /r none rbind 0 0\n/a\\040b /r/c none rbind,ro 0 0\n');
});
