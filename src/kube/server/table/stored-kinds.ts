/** The columns of kinds that are stored for others: policies, storage, certificates. */
import { at, isObject, listAt, numberAt, own, textAt } from '../json.ts';
import { AGE, columns, integer, nameOf, wide, type KindTable } from './columns.ts';
import { age, formatSelector, humanDuration, NONE } from './format.ts';

const MODES: Readonly<Record<string, string>> = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' };
const modesOf = (modes: readonly unknown[]): string => modes.map((mode) => MODES[String(mode)] ?? String(mode)).join(',');
const orNotApplicable = (value: unknown): string => (value === undefined ? 'N/A' : String(value));

function claimCells(claim: unknown, nowMs: number): unknown[] {
  const bound = textAt(claim, 'spec', 'volumeName') !== '';
  const status = at(claim, 'metadata', 'deletionTimestamp') === undefined ? textAt(claim, 'status', 'phase') : 'Terminating';
  return [
    nameOf(claim), status, textAt(claim, 'spec', 'volumeName'), bound ? String(at(claim, 'status', 'capacity', 'storage') ?? '') : '', bound ? modesOf(listAt(claim, 'status', 'accessModes')) : '',
    textAt(claim, 'spec', 'storageClassName'), textAt(claim, 'spec', 'volumeAttributesClassName') || '<unset>', age(claim, nowMs), textAt(claim, 'spec', 'volumeMode') || '<unset>',
  ];
}

function volumeCells(volume: unknown, nowMs: number): unknown[] {
  const claim = at(volume, 'spec', 'claimRef');
  const status = at(volume, 'metadata', 'deletionTimestamp') === undefined ? textAt(volume, 'status', 'phase') : 'Terminating';
  return [
    nameOf(volume), String(at(volume, 'spec', 'capacity', 'storage') ?? ''), modesOf(listAt(volume, 'spec', 'accessModes')), textAt(volume, 'spec', 'persistentVolumeReclaimPolicy'), status,
    claim ? `${textAt(claim, 'namespace')}/${textAt(claim, 'name')}` : '', textAt(volume, 'spec', 'storageClassName'), textAt(volume, 'spec', 'volumeAttributesClassName') || '<unset>', textAt(volume, 'status', 'reason'),
    age(volume, nowMs), textAt(volume, 'spec', 'volumeMode') || '<unset>',
  ];
}

function signingCells(request: unknown, nowMs: number): unknown[] {
  const types = listAt(request, 'status', 'conditions').map((one) => textAt(one, 'type'));
  const issued = textAt(request, 'status', 'certificate') !== '';
  const states = [types.includes('Approved') ? 'Approved' : '', types.includes('Denied') ? 'Denied' : '', types.includes('Failed') ? 'Failed' : '', issued ? 'Issued' : ''].filter((one) => one !== '');
  const seconds = numberAt(request, 'spec', 'expirationSeconds');
  return [nameOf(request), age(request, nowMs), textAt(request, 'spec', 'signerName') || NONE, textAt(request, 'spec', 'username'), seconds === undefined ? NONE : humanDuration(seconds * 1000), states.join(',') || 'Pending'];
}

function metricText(metric: unknown, current: unknown): string {
  const name = textAt(metric, 'resource', 'name') || textAt(metric, 'containerResource', 'name');
  const target = at(metric, 'resource', 'target') ?? at(metric, 'containerResource', 'target');
  const utilization = own(target, 'averageUtilization');
  const wanted = utilization === undefined ? String(own(target, 'averageValue') ?? own(target, 'value') ?? '<auto>') : `${String(utilization)}%`;
  const now = at(current, 'resource', 'current', 'averageUtilization');
  return `${name && `${name}: `}${now === undefined ? '<unknown>' : `${String(now)}%`}/${wanted}`;
}

function autoscalerCells(scaler: unknown, nowMs: number): unknown[] {
  const target = at(scaler, 'spec', 'scaleTargetRef');
  const current = listAt(scaler, 'status', 'currentMetrics');
  const metrics = listAt(scaler, 'spec', 'metrics').map((metric, index) => metricText(metric, current[index]));
  const shown = metrics.slice(0, 2).join(', ') + (metrics.length > 2 ? ` + ${metrics.length - 2} more...` : '');
  return [
    nameOf(scaler), `${textAt(target, 'kind')}/${textAt(target, 'name')}`, shown || '<none>', String(at(scaler, 'spec', 'minReplicas') ?? '<unset>'), numberAt(scaler, 'spec', 'maxReplicas') ?? 0,
    numberAt(scaler, 'status', 'currentReplicas') ?? 0, age(scaler, nowMs),
  ];
}

/** `a: 1/2, b: 0/3`: what is used of what is there. */
function quotaTexts(quota: unknown): [string, string] {
  const hard = at(quota, 'status', 'hard') ?? at(quota, 'spec', 'hard');
  const used = at(quota, 'status', 'used');
  const texts = (isObject(hard) ? Object.keys(hard) : []).sort().map((key) => [key.startsWith('limits.'), `${key}: ${String(own(used, key) ?? '0')}/${String(own(hard, key))}`] as const);
  const join = (limits: boolean): string => texts.filter(([isLimit]) => isLimit === limits).map(([, text]) => text).join(', ');
  return [join(false), join(true)];
}

export const STORED_TABLES: Readonly<Record<string, KindTable>> = {
  'policy/PodDisruptionBudget': {
    columns: columns('Min Available', 'Max Unavailable', ...integer('Allowed Disruptions'), AGE),
    cells: (one, now) => [nameOf(one), orNotApplicable(at(one, 'spec', 'minAvailable')), orNotApplicable(at(one, 'spec', 'maxUnavailable')), numberAt(one, 'status', 'disruptionsAllowed') ?? 0, age(one, now)],
  },
  'autoscaling/HorizontalPodAutoscaler': { columns: columns('Reference', 'Targets', 'MinPods', 'MaxPods', 'Replicas', AGE), cells: autoscalerCells },
  '/PersistentVolumeClaim': { columns: columns('Status', 'Volume', 'Capacity', 'Access Modes', 'StorageClass', 'VolumeAttributesClass', AGE, ...wide('VolumeMode')), cells: claimCells },
  '/PersistentVolume': { columns: columns('Capacity', 'Access Modes', 'Reclaim Policy', 'Status', 'Claim', 'StorageClass', 'VolumeAttributesClass', 'Reason', AGE, ...wide('VolumeMode')), cells: volumeCells },
  'storage.k8s.io/StorageClass': {
    columns: columns('Provisioner', 'ReclaimPolicy', 'VolumeBindingMode', 'AllowVolumeExpansion', AGE),
    cells: (one, now) => [
      nameOf(one) + (at(one, 'metadata', 'annotations', 'storageclass.kubernetes.io/is-default-class') === 'true' ? ' (default)' : ''), textAt(one, 'provisioner'), textAt(one, 'reclaimPolicy'), textAt(one, 'volumeBindingMode'),
      String(own(one, 'allowVolumeExpansion') === true), age(one, now),
    ],
  },
  'certificates.k8s.io/CertificateSigningRequest': { columns: columns(AGE, 'SignerName', 'Requestor', 'RequestedDuration', 'Condition'), cells: signingCells },
  'networking.k8s.io/NetworkPolicy': { columns: columns('Pod-Selector', AGE), cells: (one, now) => [nameOf(one), formatSelector(at(one, 'spec', 'podSelector')), age(one, now)] },
  '/LimitRange': { columns: columns('Created At'), cells: (one) => [nameOf(one), at(one, 'metadata', 'creationTimestamp')] },
  '/ResourceQuota': { columns: columns(AGE, 'Request', 'Limit'), cells: (one, now) => [nameOf(one), age(one, now), ...quotaTexts(one)] },
  'scheduling.k8s.io/PriorityClass': {
    columns: columns(...integer('Value'), { name: 'Global-Default', type: 'boolean' }, AGE, 'PreemptionPolicy'),
    cells: (one, now) => [nameOf(one), numberAt(one, 'value') ?? 0, own(one, 'globalDefault') === true, age(one, now), textAt(one, 'preemptionPolicy')],
  },
};
