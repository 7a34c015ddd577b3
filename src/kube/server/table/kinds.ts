/** The columns of built-in kinds. */
import { at, isObject, listAt, numberAt, own, textAt } from '../json.ts';
import { AGE, columns, integer, keyCount, nameOf, wide, type KindTable } from './columns.ts';
import { age, firstFew, formatLabels, NONE, since } from './format.ts';
import { podCells } from './pod.ts';
import { STORED_TABLES } from './stored-kinds.ts';
import { WORKLOAD_TABLES } from './workloads.ts';

function serviceCells(service: unknown, nowMs: number): unknown[] {
  const type = textAt(service, 'spec', 'type') || 'ClusterIP';
  const externalIps = listAt(service, 'spec', 'externalIPs').map(String);
  const ingress = listAt(service, 'status', 'loadBalancer', 'ingress').map((one) => textAt(one, 'ip') || textAt(one, 'hostname'));
  const external = type === 'ExternalName' ? textAt(service, 'spec', 'externalName') : type === 'LoadBalancer' ? [...ingress, ...externalIps].join(',') || '<pending>' : externalIps.join(',') || NONE;
  const ports = listAt(service, 'spec', 'ports').map((port) => `${String(own(port, 'port'))}${own(port, 'nodePort') ? `:${String(own(port, 'nodePort'))}` : ''}/${textAt(port, 'protocol')}`);
  return [nameOf(service), type, textAt(service, 'spec', 'clusterIP') || NONE, external, ports.join(',') || NONE, age(service, nowMs), formatLabels(at(service, 'spec', 'selector'))];
}

function endpointsCells(endpoints: unknown, nowMs: number): unknown[] {
  const addresses = listAt(endpoints, 'subsets').flatMap((subset) => {
    const ports = listAt(subset, 'ports');
    const ips = listAt(subset, 'addresses').map((one) => textAt(one, 'ip'));
    return ports.length === 0 ? ips : ports.flatMap((port) => ips.map((ip) => `${ip}:${String(own(port, 'port'))}`));
  });
  return [nameOf(endpoints), firstFew(addresses, 3, NONE), age(endpoints, nowMs)];
}

function endpointSliceCells(slice: unknown, nowMs: number): unknown[] {
  const ports = listAt(slice, 'ports').map((port) => (own(port, 'port') === undefined ? '*' : String(own(port, 'port'))));
  const addresses = listAt(slice, 'endpoints').flatMap((endpoint) => listAt(endpoint, 'addresses').map(String));
  return [nameOf(slice), textAt(slice, 'addressType'), firstFew(ports, 3, '<unset>'), firstFew(addresses, 3, '<unset>'), age(slice, nowMs)];
}

function nodeCells(node: unknown, nowMs: number): unknown[] {
  const ready = listAt(node, 'status', 'conditions').find((one) => textAt(one, 'type') === 'Ready');
  const status = ready === undefined ? 'Unknown' : textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
  const labels = at(node, 'metadata', 'labels');
  const roles = isObject(labels) ? Object.keys(labels).filter((key) => key.startsWith('node-role.kubernetes.io/')).map((key) => key.slice(24)).sort() : [];
  const address = (type: string): string => textAt(listAt(node, 'status', 'addresses').find((one) => textAt(one, 'type') === type), 'address') || NONE;
  const info = (field: string): string => textAt(node, 'status', 'nodeInfo', field) || '<unknown>';
  return [
    nameOf(node), status + (at(node, 'spec', 'unschedulable') === true ? ',SchedulingDisabled' : ''), roles.join(',') || NONE, age(node, nowMs), textAt(node, 'status', 'nodeInfo', 'kubeletVersion'),
    address('InternalIP'), address('ExternalIP'), info('osImage'), info('kernelVersion'), info('containerRuntimeVersion'),
  ];
}

function eventCells(event: unknown, nowMs: number): unknown[] {
  const first = own(event, 'firstTimestamp') ?? own(event, 'eventTime');
  const last = at(event, 'series', 'lastObservedTime') ?? own(event, 'lastTimestamp') ?? first;
  const target = `${textAt(event, 'involvedObject', 'kind').toLowerCase()}/${textAt(event, 'involvedObject', 'name')}`;
  const host = textAt(event, 'source', 'host');
  const source = textAt(event, 'source', 'component') || textAt(event, 'reportingComponent');
  return [
    since(last, nowMs), textAt(event, 'type'), textAt(event, 'reason'), target, textAt(event, 'involvedObject', 'fieldPath'), host ? `${source}, ${host}` : source,
    textAt(event, 'message').trim(), since(first, nowMs), numberAt(event, 'series', 'count') ?? numberAt(event, 'count') ?? 1, nameOf(event),
  ];
}

function ingressCells(ingress: unknown, nowMs: number): unknown[] {
  const hosts = listAt(ingress, 'spec', 'rules').map((rule) => textAt(rule, 'host')).filter((host) => host !== '');
  const addresses = listAt(ingress, 'status', 'loadBalancer', 'ingress').map((one) => textAt(one, 'ip') || textAt(one, 'hostname'));
  return [nameOf(ingress), textAt(ingress, 'spec', 'ingressClassName') || NONE, firstFew(hosts, 3, '*'), addresses.join(','), listAt(ingress, 'spec', 'tls').length > 0 ? '80, 443' : '80', age(ingress, nowMs)];
}

const WEBHOOKS: KindTable = { columns: columns(...integer('Webhooks'), AGE), cells: (one, now) => [nameOf(one), listAt(one, 'webhooks').length, age(one, now)] };

const ROLES: KindTable = { columns: columns('Created At'), cells: (one) => [nameOf(one), at(one, 'metadata', 'creationTimestamp')] };

function bindingCells(binding: unknown, nowMs: number): unknown[] {
  const names = (kind: string): string => listAt(binding, 'subjects').filter((subject) => textAt(subject, 'kind') === kind).map((subject) => (kind === 'ServiceAccount' ? `${textAt(subject, 'namespace')}/` : '') + textAt(subject, 'name')).join(', ');
  return [nameOf(binding), `${textAt(binding, 'roleRef', 'kind')}/${textAt(binding, 'roleRef', 'name')}`, age(binding, nowMs), names('User'), names('Group'), names('ServiceAccount')];
}
const BINDINGS: KindTable = { columns: columns('Role', AGE, ...wide('Users', 'Groups', 'ServiceAccounts')), cells: bindingCells };

const TABLES: Readonly<Record<string, KindTable>> = {
  ...WORKLOAD_TABLES,
  ...STORED_TABLES,
  '/Pod': { columns: columns('Ready', 'Status', 'Restarts', AGE, ...wide('IP', 'Node', 'Nominated Node', 'Readiness Gates')), cells: podCells },
  '/Service': { columns: columns('Type', 'Cluster-IP', 'External-IP', 'Port(s)', AGE, ...wide('Selector')), cells: serviceCells },
  '/Endpoints': { columns: columns('Endpoints', AGE), cells: endpointsCells },
  'discovery.k8s.io/EndpointSlice': { columns: columns('AddressType', 'Ports', 'Endpoints', AGE), cells: endpointSliceCells },
  '/Node': { columns: columns('Status', 'Roles', AGE, 'Version', ...wide('Internal-IP', 'External-IP', 'OS-Image', 'Kernel-Version', 'Container-Runtime')), cells: nodeCells },
  '/Namespace': { columns: columns('Status', AGE), cells: (one, now) => [nameOf(one), textAt(one, 'status', 'phase'), age(one, now)] },
  '/ServiceAccount': { columns: columns(...integer('Secrets'), AGE), cells: (one, now) => [nameOf(one), listAt(one, 'secrets').length, age(one, now)] },
  '/Secret': { columns: columns('Type', ...integer('Data'), AGE), cells: (one, now) => [nameOf(one), textAt(one, 'type'), keyCount(own(one, 'data')), age(one, now)] },
  '/ConfigMap': { columns: columns(...integer('Data'), AGE), cells: (one, now) => [nameOf(one), keyCount(own(one, 'data')) + keyCount(own(one, 'binaryData')), age(one, now)] },
  '/Event': {
    columns: [
      { name: 'Last Seen' }, { name: 'Type' }, { name: 'Reason' }, { name: 'Object' }, { name: 'Subobject', wide: true }, { name: 'Source', wide: true }, { name: 'Message' },
      { name: 'First Seen', wide: true }, { name: 'Count', type: 'integer', wide: true }, { name: 'Name', wide: true, format: 'name' },
    ],
    cells: eventCells,
  },
  'networking.k8s.io/Ingress': { columns: columns('Class', 'Hosts', 'Address', 'Ports', AGE), cells: ingressCells },
  'extensions/Ingress': { columns: columns('Class', 'Hosts', 'Address', 'Ports', AGE), cells: ingressCells },
  'networking.k8s.io/IngressClass': {
    columns: columns('Controller', 'Parameters', AGE),
    cells: (one, now) => {
      const [kind, name] = [textAt(one, 'spec', 'parameters', 'kind'), textAt(one, 'spec', 'parameters', 'name')];
      return [nameOf(one), textAt(one, 'spec', 'controller'), kind ? `${kind.toLowerCase()}/${name}` : NONE, age(one, now)];
    },
  },
  'apiextensions.k8s.io/CustomResourceDefinition': { columns: columns('Created At'), cells: (one) => [nameOf(one), at(one, 'metadata', 'creationTimestamp')] },
  'rbac.authorization.k8s.io/Role': ROLES,
  'rbac.authorization.k8s.io/ClusterRole': ROLES,
  'rbac.authorization.k8s.io/RoleBinding': BINDINGS,
  'rbac.authorization.k8s.io/ClusterRoleBinding': BINDINGS,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': WEBHOOKS,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': WEBHOOKS,
  'coordination.k8s.io/Lease': { columns: columns('Holder', AGE), cells: (one, now) => [nameOf(one), textAt(one, 'spec', 'holderIdentity'), age(one, now)] },
};

/** The table of a built-in kind; undefined when its printer columns or name and age have to do. */
export function tableOfKind(group: string, kind: string): KindTable | undefined {
  const key = `${group}/${kind}`;
  return Object.hasOwn(TABLES, key) ? TABLES[key] : undefined;
}
