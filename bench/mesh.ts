/** The mesh of the bench: a gateway, one backend without a sidecar and one with, and routes to measure. */
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../src/objects/meta.ts';

/** Where the backend listens: HTTP/1.1, HTTP/2 prior knowledge. */
export const BACKEND = { ip: '10.244.2.1', http: 8000, h2c: 8001 } as const;
export const HEADER_ROUTES = 20;

const service = (name: string, ip: string, selector: string, ports: readonly (readonly [name: string, port: number, target: number])[]) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: app}
spec: {clusterIP: ${ip}, selector: {app: ${selector}}, ports: [${ports.map(([port, number, target]) => `{name: ${port}, port: ${number}, targetPort: ${target}}`).join(', ')}]}
---`;
const slice = (name: string, pod: string, ip: string, ports: readonly (readonly [name: string, port: number, target: number])[]) => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}-1, namespace: app, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [${ports.map(([port, , target]) => `{name: ${port}, port: ${target}}`).join(', ')}]
endpoints: [{addresses: [${ip}], conditions: {ready: true}, targetRef: {kind: Pod, name: ${pod}}}]
---`;

const BACKEND_PORTS = [['http', 80, BACKEND.http], ['http2', 82, BACKEND.h2c], ['tcp', 9000, BACKEND.http]] as const;
const MESHED_PORTS = [['http', 80, 8000]] as const;

const WORKLOADS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "accessLogFile: /dev/null"}
---
apiVersion: v1
kind: Namespace
metadata: {name: app}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {serviceAccountName: gateway, containers: [{name: main}]}
status: {phase: Running, podIP: 10.244.0.30}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: app, labels: {app: meshed, version: v1, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: client, containers: [{name: main}]}
status: {phase: Running, podIP: 10.244.0.10}
---
apiVersion: v1
kind: Pod
metadata: {name: backend, namespace: app, labels: {app: backend, version: v1}}
spec: {serviceAccountName: backend, containers: [{name: main}]}
status: {phase: Running, podIP: ${BACKEND.ip}}
---${service('backend', '10.96.0.20', 'backend', BACKEND_PORTS)}${slice('backend', 'backend', BACKEND.ip, BACKEND_PORTS)}${service('meshed', '10.96.0.21', 'meshed', MESHED_PORTS)}${slice('meshed', 'client', '10.244.0.10', MESHED_PORTS)}`;

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** PEM texts of a listener's certificate; `ca` signs the clients of the listener that asks for a certificate. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Objects of the bench; `variant` changes one route (configuration changes under load). */
export function benchMesh(certificate: Certificate, variant = 0): readonly KubeObject[] {
  const headerRoutes = Array.from({ length: HEADER_ROUTES }, (_, index) => `
  - match: [{headers: {x-route: {exact: r${index}}}, uri: {prefix: /}}]
    headers: {request: {set: {x-matched: r${index}}}}
    route: [{destination: {host: backend, port: {number: 80}}}]`).join('');
  const virtualService = (name: string, host: string, http: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: app}
spec:
  hosts: [${host}]
  gateways: [bench]
  http:${http}
---`;
  const plain = (name: string, port: number) => `
  - headers: {response: {set: {x-variant: "${variant}"}}}
    route: [{destination: {host: ${name}, port: {number: ${port}}}}]`;
  const text = `${WORKLOADS}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bench, namespace: app}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 8443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: bench-cert}}
  - {port: {number: 8444, name: https-mutual, protocol: HTTPS}, hosts: ["*"], tls: {mode: MUTUAL, credentialName: bench-mutual}}
  - {port: {number: 31400, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: v1
kind: Secret
metadata: {name: bench-cert, namespace: istio-system}
type: kubernetes.io/tls
data: {tls.crt: ${base64(certificate.cert)}, tls.key: ${base64(certificate.key)}}
---
apiVersion: v1
kind: Secret
metadata: {name: bench-mutual, namespace: istio-system}
type: kubernetes.io/tls
data: {tls.crt: ${base64(certificate.cert)}, tls.key: ${base64(certificate.key)}, ca.crt: ${base64(certificate.ca)}}
---${virtualService('plain', 'plain.bench', plain('backend', 80))}${virtualService('pair', 'pair.bench', plain('meshed', 80))}${virtualService('routes', 'routes.bench', headerRoutes)}${virtualService('h2', 'h2.bench', plain('backend', 82))}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp, namespace: app}
spec:
  hosts: ["*"]
  gateways: [bench]
  tcp: [{route: [{destination: {host: backend, port: {number: 9000}}}]}]
`;
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject).filter((object) => object !== null);
}
