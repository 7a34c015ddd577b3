import { describe, expect, it } from 'vitest';
import { TYPE_URL, type EncodedResource } from '../ads.ts';
import { DiscoverySession, type Command, type DeltaRequest, type ResourceView, type SotwRequest } from './state-machine.ts';

type Short = 'cluster' | 'endpoint' | 'listener' | 'route' | 'secret' | 'nameTable';
type Content = Partial<Record<Short, Record<string, string>>>;

let views = 0;
function view(content: Content): ResourceView {
  const maps = new Map<string, ReadonlyMap<string, EncodedResource>>();
  for (const [short, resources] of Object.entries(content)) {
    const typeUrl = TYPE_URL[short as Short];
    maps.set(typeUrl, new Map(Object.entries(resources).map(([name, version]) => [name, { name, typeUrl, version, value: Buffer.from(version) }])));
  }
  return { version: `v${++views}`, resources: (typeUrl) => maps.get(typeUrl) ?? new Map() };
}

function session(mode: 'sotw' | 'delta') {
  let nonce = 0;
  const machine = new DiscoverySession(mode, () => `n${++nonce}`);
  const show = (commands: Command[]) =>
    commands.map((command) => {
      const type = 'typeUrl' in command ? Object.entries(TYPE_URL).find(([, url]) => url === command.typeUrl)?.[0] : '';
      if (command.kind !== 'respond') return `${command.kind} ${type}${command.kind === 'nacked' ? ` ${command.message}` : ''}`;
      return [`${type}#${command.nonce}`, ...command.resources.map((r) => `${r.name}=${r.version}`), ...command.removed.map((name) => `-${name}`)].join(' ');
    });
  return {
    machine,
    delta: (type: Short, request: Partial<Omit<DeltaRequest, 'typeUrl'>> = {}) =>
      show(machine.request({ kind: 'delta', typeUrl: TYPE_URL[type], subscribe: [], unsubscribe: [], initialVersions: new Map(), responseNonce: '', ...request })),
    sotw: (type: Short, names: string[] = [], request: Partial<Omit<SotwRequest, 'typeUrl'>> = {}) => show(machine.request({ kind: 'sotw', typeUrl: TYPE_URL[type], names, responseNonce: '', ...request })),
    view: (content: Content) => show(machine.setView(view(content))),
  };
}

describe('delta', () => {
  it('answers a wildcard subscription with everything, then only what changed', () => {
    const s = session('delta');
    s.view({ cluster: { a: '1', b: '1' } });
    expect(s.delta('cluster')).toEqual(['cluster#n1 a=1 b=1']);
    expect(s.delta('cluster', { responseNonce: 'n1' })).toEqual(['acked cluster']);
    expect(s.view({ cluster: { a: '1', b: '1' } })).toEqual([]);
    expect(s.view({ cluster: { a: '2', c: '1' } })).toEqual(['cluster#n2 a=2 c=1 -b']);
  });

  it('answers an empty wildcard once, so that the client can go on', () => {
    const s = session('delta');
    s.view({});
    expect(s.delta('listener')).toEqual(['listener#n1']);
    expect(s.delta('listener', { responseNonce: 'n1' })).toEqual(['acked listener']);
    expect(s.view({})).toEqual([]);
  });

  it('waits with the answer until there is a view', () => {
    const s = session('delta');
    expect(s.delta('cluster')).toEqual([]);
    expect(s.view({ cluster: { a: '1' } })).toEqual(['cluster#n1 a=1']);
  });

  it('tells a client that an asked name does not exist, and when it appears and goes', () => {
    const s = session('delta');
    s.view({ endpoint: { a: '1' } });
    expect(s.delta('endpoint', { subscribe: ['a', 'ghost'] })).toEqual(['endpoint#n1 a=1 -ghost']);
    expect(s.delta('endpoint', { responseNonce: 'n1' })).toEqual(['acked endpoint']);
    expect(s.view({ endpoint: { a: '1', ghost: '1' } })).toEqual(['endpoint#n2 ghost=1']);
    expect(s.delta('endpoint', { responseNonce: 'n2' })).toEqual(['acked endpoint']);
    expect(s.view({ endpoint: { ghost: '1' } })).toEqual(['endpoint#n3 -a']);
  });

  it('does not treat an empty endpoint subscription as a wildcard', () => {
    const s = session('delta');
    s.view({ endpoint: { a: '1' } });
    expect(s.delta('endpoint')).toEqual([]);
  });

  it('sends a name again when it is subscribed again', () => {
    const s = session('delta');
    s.view({ route: { '80': '1' } });
    expect(s.delta('route', { subscribe: ['80'] })).toEqual(['route#n1 80=1']);
    expect(s.delta('route', { responseNonce: 'n1', subscribe: ['80'] })).toEqual(['acked route', 'route#n2 80=1']);
  });

  it('stops sending what is unsubscribed', () => {
    const s = session('delta');
    s.view({ endpoint: { a: '1', b: '1' } });
    s.delta('endpoint', { subscribe: ['a', 'b'] });
    expect(s.delta('endpoint', { responseNonce: 'n1', unsubscribe: ['a'] })).toEqual(['acked endpoint']);
    expect(s.view({ endpoint: { a: '2', b: '2' } })).toEqual(['endpoint#n2 b=2']);
  });

  it('does not resend to a reconnecting client what it has, and tells it what is gone', () => {
    const s = session('delta');
    s.view({ cluster: { a: '1', b: '2' }, endpoint: { a: '1', b: '1' } });
    expect(s.delta('cluster', { initialVersions: new Map([['a', '1'], ['b', '1'], ['old', '1']]), responseNonce: 'from-before' })).toEqual(['cluster#n1 b=2 -old']);
    expect(s.delta('endpoint', { subscribe: ['a', 'b'], initialVersions: new Map([['a', '1'], ['b', '1']]) })).toEqual(['endpoint#n2 b=1']);
    expect(s.machine.status()[1]).toMatchObject({ status: 'STALE', resourceCount: 2 });
  });

  it('merges changes that come while the client has not answered', () => {
    const s = session('delta');
    s.view({ cluster: { a: '1' } });
    s.delta('cluster');
    expect(s.view({ cluster: { a: '2' } })).toEqual([]);
    expect(s.view({ cluster: { a: '3' } })).toEqual([]);
    expect(s.delta('cluster', { responseNonce: 'n1' })).toEqual(['acked cluster', 'cluster#n2 a=3']);
  });

  it('records a NACK, does not repeat the refused bytes and sends the next change', () => {
    const s = session('delta');
    s.view({ listener: { l: '1' } });
    s.delta('listener');
    expect(s.delta('listener', { responseNonce: 'n1', error: 'bad filter' })).toEqual(['nacked listener bad filter']);
    expect(s.machine.status()[0]).toMatchObject({ status: 'ERROR', nack: { nonce: 'n1', message: 'bad filter' } });
    expect(s.view({ listener: { l: '1' } })).toEqual([]);
    expect(s.view({ listener: { l: '2' } })).toEqual(['listener#n2 l=2']);
    s.delta('listener', { responseNonce: 'n2' });
    expect(s.machine.status()[0]).toMatchObject({ status: 'SYNCED' });
  });

  it('ignores the verdict of an expired nonce but not its names', () => {
    const s = session('delta');
    s.view({ route: { a: '1', b: '1' } });
    s.delta('route', { subscribe: ['a'] });
    expect(s.delta('route', { responseNonce: 'n0', subscribe: ['b'] })).toEqual(['expired-nonce route']);
    expect(s.delta('route', { responseNonce: 'n1' })).toEqual(['acked route', 'route#n2 b=1']);
  });

  it('pushes in the order CDS EDS LDS RDS SDS', () => {
    const s = session('delta');
    s.view({});
    s.delta('secret', { subscribe: ['s'] });
    s.delta('route', { subscribe: ['r'] });
    s.delta('listener');
    s.delta('endpoint', { subscribe: ['c'] });
    s.delta('cluster');
    for (const [type, nonce] of [['secret', 'n1'], ['route', 'n2'], ['listener', 'n3'], ['endpoint', 'n4'], ['cluster', 'n5']] as const) s.delta(type, { responseNonce: nonce });
    const all = s.view({ cluster: { c: '1' }, endpoint: { c: '1' }, listener: { l: '1' }, route: { r: '1' }, secret: { s: '1' } });
    expect(all.map((line) => line.split('#')[0])).toEqual(['cluster', 'endpoint', 'listener', 'route', 'secret']);
  });

  it('sends the endpoints of a changed cluster again, and only those', () => {
    const s = session('delta');
    s.view({ cluster: { a: '1', b: '1' }, endpoint: { a: '1', b: '1' } });
    s.delta('cluster');
    s.delta('endpoint', { subscribe: ['a', 'b'] });
    s.delta('cluster', { responseNonce: 'n1' });
    s.delta('endpoint', { responseNonce: 'n2' });
    expect(s.view({ cluster: { a: '2', b: '1' }, endpoint: { a: '1', b: '1' } })).toEqual(['cluster#n3 a=2', 'endpoint#n4 a=1']);
  });

  it('breaks after make: a cluster goes when listeners and routes are answered', () => {
    const s = session('delta');
    s.view({ cluster: { old: '1' }, route: { r: 'to old' } });
    s.delta('cluster');
    s.delta('route', { subscribe: ['r'] });
    s.delta('cluster', { responseNonce: 'n1' });
    s.delta('route', { responseNonce: 'n2' });
    expect(s.view({ cluster: { new: '1' }, route: { r: 'to new' } })).toEqual(['cluster#n3 new=1', 'route#n4 r=to new']);
    expect(s.delta('cluster', { responseNonce: 'n3' })).toEqual(['acked cluster']);
    expect(s.delta('route', { responseNonce: 'n4' })).toEqual(['acked route', 'cluster#n5 -old']);
  });

  it('refuses a client without bounds', () => {
    const s = session('delta');
    const kinds = Array.from({ length: 40 }, (_, i) => s.machine.request({ kind: 'delta', typeUrl: `t${i}`, subscribe: [], unsubscribe: [], initialVersions: new Map(), responseNonce: '' }));
    expect(kinds.at(-1)![0]).toMatchObject({ kind: 'refuse' });
  });

  it('keeps names of Object.prototype apart', () => {
    const s = session('delta');
    s.view({ endpoint: { a: '1' } });
    expect(s.delta('endpoint', { subscribe: ['__proto__', 'constructor'] })).toEqual(['endpoint#n1 -__proto__ -constructor']);
  });
});

describe('state of the world', () => {
  it('sends all clusters when one changed, and nothing when none did', () => {
    const s = session('sotw');
    s.view({ cluster: { a: '1', b: '1' } });
    expect(s.sotw('cluster')).toEqual(['cluster#n1 a=1 b=1']);
    expect(s.sotw('cluster', [], { responseNonce: 'n1' })).toEqual(['acked cluster']);
    expect(s.view({ cluster: { a: '1', b: '1' } })).toEqual([]);
    expect(s.view({ cluster: { a: '2', b: '1' } })).toEqual(['cluster#n2 a=2 b=1']);
    s.sotw('cluster', [], { responseNonce: 'n2' });
    expect(s.view({ cluster: { a: '2' } })).toEqual(['cluster#n3 a=2']);
  });

  it('sends only changed endpoints', () => {
    const s = session('sotw');
    s.view({ endpoint: { a: '1', b: '1', c: '1' } });
    expect(s.sotw('endpoint', ['a', 'b'])).toEqual(['endpoint#n1 a=1 b=1']);
    s.sotw('endpoint', ['a', 'b'], { responseNonce: 'n1' });
    expect(s.view({ endpoint: { a: '1', b: '2', c: '2' } })).toEqual(['endpoint#n2 b=2']);
    expect(s.sotw('endpoint', ['a', 'b', 'c'], { responseNonce: 'n2' })).toEqual(['acked endpoint', 'endpoint#n3 c=2']);
  });

  it('ignores requests with an expired nonce altogether', () => {
    const s = session('sotw');
    s.view({ endpoint: { a: '1', b: '1' } });
    s.sotw('endpoint', ['a']);
    expect(s.sotw('endpoint', ['b'], { responseNonce: 'n0' })).toEqual(['expired-nonce endpoint']);
    expect(s.sotw('endpoint', ['a', 'b'], { responseNonce: 'n1' })).toEqual(['acked endpoint', 'endpoint#n2 b=1']);
  });

  it('answers a reconnecting client in full', () => {
    const s = session('sotw');
    s.view({ listener: { l: '1' }, route: { r: '1' } });
    expect(s.sotw('listener', [], { responseNonce: 'of-an-earlier-stream' })).toEqual(['listener#n1 l=1']);
    expect(s.sotw('route', ['r', 'ghost'])).toEqual(['route#n2 r=1']);
  });

  it('waits for the verdict, and keeps removed clusters until the routes are answered', () => {
    const s = session('sotw');
    s.view({ cluster: { old: '1' }, route: { r: '1' } });
    s.sotw('cluster');
    s.sotw('route', ['r']);
    s.sotw('cluster', [], { responseNonce: 'n1' });
    s.sotw('route', ['r'], { responseNonce: 'n2' });
    expect(s.view({ cluster: { new: '1' }, route: { r: '2' } })).toEqual(['cluster#n3 new=1 old=1', 'route#n4 r=2']);
    s.sotw('cluster', [], { responseNonce: 'n3' });
    expect(s.sotw('route', ['r'], { responseNonce: 'n4', error: 'no' })).toEqual(['nacked route no', 'cluster#n5 new=1']);
  });
});
