import { create, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { TYPE_URL, type EncodedResource } from '../ads.ts';
import { Cluster_DiscoveryType, ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.ts';
import { takesEndpoints } from './new-clusters.ts';
import { DiscoverySession, type Command, type ResourceView } from './state-machine.ts';

const bytes = (type: Cluster_DiscoveryType): Uint8Array => toBinary(ClusterSchema, create(ClusterSchema, { name: 'outbound|80||a', altStatName: 'x', clusterDiscoveryType: { case: 'type', value: type } }));
const resource = (typeUrl: string, name: string, version = '1', value: Uint8Array = Buffer.from('')): EncodedResource => ({ name, typeUrl, version, value });
const eds = (name: string, version = '1'): EncodedResource => resource(TYPE_URL.cluster, name, version, bytes(Cluster_DiscoveryType.EDS));
const dns = (name: string): EncodedResource => resource(TYPE_URL.cluster, name, '1', bytes(Cluster_DiscoveryType.STRICT_DNS));

function view(...resources: EncodedResource[]): ResourceView {
  return { version: 'v', resources: (typeUrl) => new Map(resources.filter((each) => each.typeUrl === typeUrl).map((each) => [each.name, each])) };
}

/** A client that has cluster and endpoints `a` and routes `80`. */
function start() {
  let nonce = 0;
  const machine = new DiscoverySession('delta', () => `n${++nonce}`);
  const show = (commands: Command[]) => commands.flatMap((command) => (command.kind === 'respond' ? `${command.typeUrl.split('.').at(-1)} ${command.resources.map(({ name, version }) => `${name}=${version}`).join(' ')}` : []));
  const ask = (typeUrl: string, responseNonce = '', subscribe: string[] = [], error?: string) => show(machine.request({ kind: 'delta', typeUrl, subscribe, unsubscribe: [], initialVersions: new Map(), responseNonce, ...(error === undefined ? {} : { error }) }));
  machine.setView(view(eds('a'), resource(TYPE_URL.endpoint, 'a'), resource(TYPE_URL.route, '80')));
  ask(TYPE_URL.cluster);
  ask(TYPE_URL.cluster, 'n1');
  ask(TYPE_URL.endpoint, '', ['a']);
  ask(TYPE_URL.endpoint, 'n2');
  ask(TYPE_URL.route, '', ['80']);
  ask(TYPE_URL.route, 'n3');
  return { ask, set: (...resources: EncodedResource[]) => show(machine.setView(view(...resources))) };
}

const more = [eds('a'), eds('b'), resource(TYPE_URL.endpoint, 'a'), resource(TYPE_URL.endpoint, 'b'), resource(TYPE_URL.route, '80', '2')];

test('routes wait for the endpoints of a new cluster', () => {
  const { ask, set } = start();
  expect(set(...more)).toEqual(['Cluster b=1']);
  expect(ask(TYPE_URL.endpoint, '', ['b'])).toEqual(['ClusterLoadAssignment b=1']);
  expect(ask(TYPE_URL.cluster, 'n4')).toEqual([]);
  expect(ask(TYPE_URL.endpoint, 'n5')).toEqual(['RouteConfiguration 80=2']);
});

test('a client that answers for its clusters only when they are warm is not waited for twice', () => {
  const { ask, set } = start();
  set(...more);
  ask(TYPE_URL.endpoint, '', ['b']);
  expect(ask(TYPE_URL.endpoint, 'n5')).toEqual(['RouteConfiguration 80=2']);
});

test.each([['takes', undefined], ['refuses', 'bad']])('a client that %s the clusters and names no endpoints gets its routes', (_, error) => {
  const { ask, set } = start();
  set(...more);
  expect(ask(TYPE_URL.cluster, 'n4', [], error)).toEqual(['RouteConfiguration 80=2']);
});

test('clusters that have no endpoints of ours, and changed ones, keep nobody waiting', () => {
  const { set } = start();
  expect(set(eds('a', '2'), dns('c'), resource(TYPE_URL.endpoint, 'a'), resource(TYPE_URL.route, '80', '2'))).toEqual(['Cluster a=2 c=1', 'ClusterLoadAssignment a=1', 'RouteConfiguration 80=2']);
});

test('endless new clusters do not starve routes', () => {
  const { ask, set } = start();
  const present = [eds('a'), resource(TYPE_URL.endpoint, 'a'), resource(TYPE_URL.route, '80', '2')];
  let nonce = 3;
  let answered = '';
  for (let i = 0; i < 8 && !answered.includes('Route'); i++) {
    present.push(eds(`b${i}`), resource(TYPE_URL.endpoint, `b${i}`));
    answered = set(...present).join();
    nonce++;
    // The next change is there before the endpoints are answered.
    ask(TYPE_URL.endpoint, '', [`b${i}`]);
    const endpoints = `n${++nonce}`;
    present.push(eds(`c${i}`));
    set(...present);
    answered += ask(TYPE_URL.cluster, `n${nonce - 1}`).join();
    nonce++;
    answered += ask(TYPE_URL.endpoint, endpoints).join();
    answered += ask(TYPE_URL.cluster, `n${nonce}`).join();
  }
  expect(answered).toContain('RouteConfiguration 80=2');
});

test('the discovery type is read from the bytes', () => {
  expect(takesEndpoints(bytes(Cluster_DiscoveryType.EDS))).toBe(true);
  expect(takesEndpoints(bytes(Cluster_DiscoveryType.STRICT_DNS))).toBe(false);
  expect(takesEndpoints(bytes(Cluster_DiscoveryType.STATIC))).toBe(false);
  expect(takesEndpoints(Buffer.from([0xff, 0xff, 0xff]))).toBe(false);
});
