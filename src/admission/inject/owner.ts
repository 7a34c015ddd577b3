// Which workload a pod belongs to, as far as its owner reference and labels tell.
import type { JsonObject, Pod, WorkloadOwner } from './types.ts';

/** Job names that a CronJob made: the name, a dash, and minutes since the epoch. */
const CRON_JOB_NAME = /^(.+)-\d{8,10}$/;

/** The workload of a pod that the API server is about to create: the controller, or the controller's controller where the name gives it away. */
export function ownerOf(pod: Pod, namespace: string): WorkloadOwner {
  const meta = pod.metadata ?? {};
  const references = (meta['ownerReferences'] as readonly JsonObject[] | undefined) ?? [];
  const controller = meta.generateName ? references.find((reference) => reference['controller'] === true) : undefined;
  if (!controller) return { apiVersion: 'v1', kind: 'Pod', name: meta.name ?? '', namespace };
  const [apiVersion, kind, name] = [String(controller['apiVersion']), String(controller['kind']), String(controller['name'])];
  const hash = meta.labels?.['pod-template-hash'];
  if (kind === 'ReplicaSet' && hash && name.endsWith(`-${hash}`)) return { apiVersion, kind: 'Deployment', name: name.slice(0, -hash.length - 1), namespace };
  if (kind === 'ReplicationController' && meta.labels?.['deploymentconfig'])
    return { apiVersion: 'apps.openshift.io/v1', kind: 'DeploymentConfig', name: meta.labels['deploymentconfig'], namespace };
  const cron = kind === 'Job' ? CRON_JOB_NAME.exec(name) : null;
  if (cron) return { apiVersion: 'batch/v1', kind: 'CronJob', name: cron[1]!, namespace };
  return { apiVersion, kind, name, namespace };
}
