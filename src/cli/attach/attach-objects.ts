/** The pod and the service of an attachment, made after the service they stand beside. Pure. */
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service, ServicePort } from '../../objects/kubernetes/service.ts';
import { attachedName, type Attachment } from './attach-routes.ts';

/** Label and selector of everything attached; its value is the name of pod and service. */
export const ATTACH_LABEL = 'meltemi.io/attach';
/** On the pod, so that `detach` needs nothing else: service and version. */
export const ATTACH_ANNOTATION = 'meltemi.io/attached-to';
/** The image of the relay. */
export const ATTACH_IMAGE = 'meltemi/attach';
/** Labels that belong to what made the pod. */
const CONTROLLER_LABELS = new Set(['pod-template-hash', 'controller-revision-hash', 'statefulset.kubernetes.io/pod-name', 'apps.kubernetes.io/pod-index', 'batch.kubernetes.io/job-name', 'job-name']);

/** Which port of a service is meant: the one that was named, the one with the program's number, or the only one. A text says what is wrong. */
export function choosePort(service: Service, hostPort: number, asked: number | undefined): ServicePort | string {
  const ports = (service.spec.ports ?? []).filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP');
  const list = ports.map(({ name, port }) => `${port}${name ? ` (${name})` : ''}`).join(', ');
  const found = asked === undefined ? (ports.find(({ port }) => port === hostPort) ?? (ports.length === 1 ? ports[0] : undefined)) : ports.find(({ port }) => port === asked);
  if (found) return found;
  return asked === undefined ? `service ${service.metadata.name} has the ports ${list}: say which one with --service-port` : `service ${service.metadata.name} has no TCP port ${asked}, only ${list}`;
}

/** True where a header can be asked for: the port speaks HTTP, or its protocol is found out. */
export function speaksHttp({ name = '', appProtocol, port }: ServicePort): boolean {
  const said = appProtocol ?? name.split('-')[0] ?? '';
  if (/^(http|http2|grpc|grpc-web|kubernetes\.io\/h2c|kubernetes\.io\/ws)$/i.test(said)) return true;
  return !/^(tcp|tls|https|mongo|mysql|redis|udp)$/i.test(said) && ![25, 3306, 5432, 27017].includes(port);
}

/**
 * The pod: labels, account and version of the service's own pods, with a sidecar of its own. It does not carry all labels that the service selects by, because
 * then everybody's calls would be balanced to it.
 */
export function attachedPod(attachment: Attachment, service: Service, like: Pod | undefined, socket: string): Pod {
  const name = attachedName(attachment);
  const selector = new Set(Object.keys(service.spec.selector ?? {}));
  const kept = Object.entries(like?.metadata.labels ?? {}).filter(([key]) => !selector.has(key) && !CONTROLLER_LABELS.has(key) && !/^(security|service|topology)\.istio\.io\//.test(key));
  const canonical = like?.metadata.labels?.['service.istio.io/canonical-name'] ?? like?.metadata.labels?.['app'] ?? attachment.service;
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: {
      name, namespace: attachment.namespace,
      labels: { ...Object.fromEntries(kept), version: attachment.version, 'service.istio.io/canonical-name': canonical, 'service.istio.io/canonical-revision': attachment.version, [ATTACH_LABEL]: name },
      annotations: { [ATTACH_ANNOTATION]: JSON.stringify({ service: attachment.service, version: attachment.version }) },
    },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...(like?.spec.serviceAccountName === undefined ? {} : { serviceAccountName: like.spec.serviceAccountName }),
      containers: [{ name: 'attach', image: ATTACH_IMAGE, args: [String(attachment.port), socket], ports: [{ containerPort: attachment.port }], securityContext: { runAsUser: 0 } }],
    },
  };
}

/** The service that only the attached pod is behind; its port is called as the original's, because names tell protocols. */
export function attachedService(attachment: Attachment, port: ServicePort): Service {
  const name = attachedName(attachment);
  const { name: portName, appProtocol } = port;
  return {
    apiVersion: 'v1', kind: 'Service',
    metadata: { name, namespace: attachment.namespace, labels: { [ATTACH_LABEL]: name } },
    spec: { selector: { [ATTACH_LABEL]: name }, ports: [{ port: attachment.port, targetPort: attachment.port, ...(portName === undefined ? {} : { name: portName }), ...(appProtocol === undefined ? {} : { appProtocol }) }] },
  };
}
