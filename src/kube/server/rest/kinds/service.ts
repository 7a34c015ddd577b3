import type { KubeObject } from '../../../../objects/meta.ts';
import { storagePrefix } from '../../api/storage-key.ts';
import { at, isObject, listAt, numberAt, own, textAt } from '../../json.ts';
import { duplicate, forbiddenField, invalid, invalidValue, required, type Cause } from '../../status.ts';
import type { Store } from '../../store/store.ts';
import type { Draft, ServiceAllocator } from '../context.ts';
import { checkLabels, checkName } from '../names.ts';
import type { Strategy } from '../strategy.ts';
import { checkPort } from './pod-spec.ts';

type Fields = Record<string, unknown>;
const typeOf = (object: unknown): string => textAt(object, 'spec', 'type') || 'ClusterIP';

/** Services. Addresses are given out by {@link createServiceAllocator}. */
export const SERVICE_STRATEGY: Strategy = {
  names: 'label1035',
  fields: { 'spec.clusterIP': (object) => textAt(object, 'spec', 'clusterIP'), 'spec.type': typeOf },
  defaults(draft) {
    const spec = draft['spec'];
    if (!isObject(spec)) return;
    for (const port of listAt(spec, 'ports')) if (isObject(port)) port['targetPort'] ??= port['port'];
    const type = typeOf(draft);
    if (type !== 'ExternalName') spec['internalTrafficPolicy'] ??= 'Cluster';
    if (type === 'NodePort' || type === 'LoadBalancer') spec['externalTrafficPolicy'] ??= 'Cluster';
    else delete spec['externalTrafficPolicy'];
    if (type === 'LoadBalancer') spec['allocateLoadBalancerNodePorts'] ??= true;
    if (spec['sessionAffinity'] === 'ClientIP') spec['sessionAffinityConfig'] ??= { clientIP: { timeoutSeconds: 10800 } };
  },
  prepareCreate(draft) {
    draft['status'] = { loadBalancer: {} };
  },
  prepareUpdate(draft, old) {
    const spec = draft['spec'];
    if (!isObject(spec)) return;
    // Who does not say an address keeps the one the service has.
    const keeps = typeOf(draft) !== 'ExternalName' && typeOf(old) !== 'ExternalName';
    if (keeps && textAt(spec, 'clusterIP') === '') {
      for (const name of ['clusterIP', 'clusterIPs'] as const) spec[name] = at(old, 'spec', name);
    }
    const oldPorts = listAt(old, 'spec', 'ports');
    if (typeOf(draft) !== 'NodePort' && typeOf(draft) !== 'LoadBalancer') return;
    for (const port of listAt(spec, 'ports')) {
      const before = oldPorts.find((one) => own(one, 'port') === own(port, 'port') && own(one, 'protocol') === own(port, 'protocol'));
      if (isObject(port) && !port['nodePort'] && own(before, 'nodePort')) port['nodePort'] = own(before, 'nodePort');
    }
  },
  validate: checkService,
};

function checkService(draft: Draft, old: KubeObject | undefined): Cause[] {
  const spec = draft['spec'];
  if (!isObject(spec)) return [required('spec')];
  const type = typeOf(draft);
  const ports = listAt(spec, 'ports');
  const causes: Cause[] = [];
  const headless = textAt(spec, 'clusterIP') === 'None';
  if (ports.length === 0 && !headless && type !== 'ExternalName') causes.push(required('spec.ports'));
  const names = new Set<string>();
  const pairs = new Set<string>();
  ports.forEach((port, index) => {
    const path = `spec.ports[${index}]`;
    causes.push(...checkPort(own(port, 'port'), `${path}.port`));
    const name = textAt(port, 'name');
    if (name === '' && ports.length > 1) causes.push(required(`${path}.name`));
    else if (name !== '') causes.push(...checkName(name, 'label', `${path}.name`));
    if (name !== '' && names.has(name)) causes.push(duplicate(`${path}.name`, name));
    names.add(name);
    const pair = `${String(own(port, 'port'))}/${textAt(port, 'protocol')}`;
    if (pairs.has(pair)) causes.push(duplicate(path, { port: own(port, 'port'), protocol: own(port, 'protocol') }));
    pairs.add(pair);
    const target = own(port, 'targetPort');
    if (typeof target === 'number') causes.push(...checkPort(target, `${path}.targetPort`));
    if (own(port, 'nodePort') && type !== 'NodePort' && type !== 'LoadBalancer') causes.push(forbiddenField(`${path}.nodePort`, 'may not be used when `type` is \'ClusterIP\''));
  });
  causes.push(...checkLabels(spec['selector'], 'spec.selector'));
  if (type === 'ExternalName' && textAt(spec, 'externalName') === '') causes.push(required('spec.externalName'));
  const before = textAt(old, 'spec', 'clusterIP');
  if (old && before !== '' && typeOf(old) !== 'ExternalName' && type !== 'ExternalName' && textAt(spec, 'clusterIP') !== before) causes.push(invalidValue('spec.clusterIPs[0]', listAt(spec, 'clusterIPs'), 'may not change once set'));
  return causes;
}

const SERVICES = { group: '', plural: 'services' };
/** Addresses below this offset are left to services that name theirs. */
const STATIC_BAND = 256;
const NODE_PORTS = { first: 30000, last: 32767 };

/** Gives out addresses of an IPv4 range `a.b.0.0/16`. What is taken is read from the stored services. */
export function createServiceAllocator(store: Store, range = '10.96.0.0/16'): ServiceAllocator {
  const prefix = range.split('.').slice(0, 2).join('.');
  const others = (draft: Draft): KubeObject[] =>
    store.list(storagePrefix(SERVICES)).map((entry) => entry.object).filter((one) => one.metadata.name !== draft.metadata['name'] || one.metadata.namespace !== draft.metadata['namespace']);
  const refuse = (draft: Draft, cause: Cause) => invalid({ group: '', kind: 'Service' }, textAt(draft.metadata, 'name'), [cause]);
  /** Given out but not stored yet, by when (ms) they count as free again. */
  const promised = new Map<string, number>();
  const free = (taken: Set<string>): string => {
    const start = STATIC_BAND + Math.floor(Math.random() * (65534 - STATIC_BAND));
    for (let step = 0; step < 65534; step++) {
      const offset = STATIC_BAND + ((start - STATIC_BAND + step) % (65534 - STATIC_BAND));
      const address = `${prefix}.${offset >> 8}.${offset & 255}`;
      if (!taken.has(address)) return address;
    }
    throw new Error('range is full');
  };
  return {
    allocate(draft) {
      const spec = draft['spec'] as Fields;
      if (typeOf(draft) === 'ExternalName') return;
      const now = Date.now();
      for (const [key, until] of promised) if (until < now) promised.delete(key);
      const all = others(draft);
      const taken = new Set([...all.map((one) => textAt(one, 'spec', 'clusterIP')), ...promised.keys()]);
      const asked = textAt(spec, 'clusterIP');
      if (asked === '') spec['clusterIP'] = free(taken);
      else if (asked !== 'None') {
        if (!asked.startsWith(`${prefix}.`)) throw refuse(draft, invalidValue('spec.clusterIPs', [asked], `failed to allocate IP ${asked}: the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${range}`));
        if (all.some((one) => textAt(one, 'spec', 'clusterIP') === asked)) throw refuse(draft, invalidValue('spec.clusterIPs', [asked], `failed to allocate IP ${asked}: provided IP is already allocated`));
      }
      const address = textAt(spec, 'clusterIP');
      if (asked === '') promised.set(address, now + 5000);
      spec['clusterIPs'] = [address];
      spec['ipFamilies'] ??= ['IPv4'];
      spec['ipFamilyPolicy'] ??= 'SingleStack';
      allocateNodePorts(draft, all);
    },
  };

  function allocateNodePorts(draft: Draft, all: readonly KubeObject[]): void {
    const type = typeOf(draft);
    const ports = listAt(draft, 'spec', 'ports').filter(isObject);
    if (type !== 'NodePort' && (type !== 'LoadBalancer' || at(draft, 'spec', 'allocateLoadBalancerNodePorts') === false)) {
      if (type === 'ClusterIP') for (const port of ports) delete port['nodePort'];
      return;
    }
    const taken = new Set(all.flatMap((one) => listAt(one, 'spec', 'ports').map((port) => numberAt(port, 'nodePort'))));
    ports.forEach((port, index) => {
      const asked = numberAt(port, 'nodePort');
      if (asked) {
        if (asked < NODE_PORTS.first || asked > NODE_PORTS.last) throw refuse(draft, invalidValue(`spec.ports[${index}].nodePort`, asked, 'provided port is not in the valid range. The range of valid ports is 30000-32767'));
        if (taken.has(asked)) throw refuse(draft, invalidValue(`spec.ports[${index}].nodePort`, asked, 'provided port is already allocated'));
      } else {
        let candidate = NODE_PORTS.first + Math.floor(Math.random() * (NODE_PORTS.last - NODE_PORTS.first));
        while (taken.has(candidate)) candidate = candidate >= NODE_PORTS.last ? NODE_PORTS.first : candidate + 1;
        port['nodePort'] = candidate;
      }
      taken.add(numberAt(port, 'nodePort'));
    });
  }
}
