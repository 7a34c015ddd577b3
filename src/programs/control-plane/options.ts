/** The command line of the control plane: Istio's flags where it has one. */
import type { AddressInfo, Server } from 'node:net';
import { parseArgs } from 'node:util';

export interface ControlPlaneOptions {
  /** Folder of YAML instead of an API server. */
  readonly files: string | undefined;
  readonly kubeconfig: string | undefined;
  /** Interface the plaintext gRPC, TLS gRPC, webhook, debug and metrics servers listen on; `undefined` address: that server is off. */
  readonly grpcAddress: string | undefined;
  readonly secureGrpcAddress: string | undefined;
  readonly webhookAddress: string | undefined;
  readonly debugAddress: string | undefined;
  readonly monitoringAddress: string | undefined;
  readonly systemNamespace: string;
  /** '' for the default revision. */
  readonly revision: string;
  readonly clusterId: string;
  readonly domainSuffix: string;
  readonly podName: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'none';
}

export const USAGE = `Usage: control-plane discovery [flags]
       control-plane request GET <path>      ask the control plane on this machine (/debug/syncz)

  --files DIR              read objects from a folder of YAML instead of an API server, and again when it changes
  --kubeconfig FILE        default: the pod's own account, else the user's kubeconfig
  --grpcAddr ADDR          plaintext xDS, default :15010 ('' turns it off)
  --secureGRPCAddr ADDR    xDS and certificates over TLS, default :15012
  --httpsAddr ADDR         webhooks, default :15017
  --httpAddr ADDR          /ready and /debug, default :8080
  --monitoringAddr ADDR    /metrics and /version, default :15014
  --grpc-port N            same as --grpcAddr 127.0.0.1:N
  --insecure               plaintext xDS only: no TLS, no webhooks, no metrics port
  --domain NAME            cluster domain, default cluster.local
  --clusterID NAME         default $CLUSTER_ID or Kubernetes
  --log_output_level LEVEL debug, info, warn, error or none; default info
`;

/** Reads arguments and environment. A string is what is wrong with them. */
export function parseOptions(args: readonly string[], env: Readonly<Record<string, string | undefined>>): ControlPlaneOptions | string {
  const text = { type: 'string' } as const;
  const parsed = parseArgs({
    args: [...args],
    strict: false,
    options: {
      files: text, kubeconfig: text, grpcAddr: text, secureGRPCAddr: text, httpsAddr: text, httpAddr: text, monitoringAddr: text, 'grpc-port': text, insecure: { type: 'boolean' },
      domain: text, clusterID: text, log_output_level: text, keepaliveMaxServerConnectionAge: text, help: { type: 'boolean' },
    },
  });
  const { values } = parsed;
  const valueOf = (name: keyof typeof values): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const insecure = values['insecure'] === true;
  const grpcPort = valueOf('grpc-port');
  if (grpcPort !== undefined && !/^\d{1,5}$/.test(grpcPort)) return `--grpc-port ${grpcPort} is not a port`;
  const addressOf = (name: keyof typeof values, standard: string, off: boolean): string | undefined => {
    const given = valueOf(name);
    if (given === undefined) return off ? undefined : standard;
    return given === '' ? undefined : given.startsWith(':') ? `0.0.0.0${given}` : given;
  };
  const level = (valueOf('log_output_level') ?? 'info').split(',').map((entry) => entry.split(':').at(-1)!)[0]!;
  const revision = env['REVISION'] ?? '';
  return {
    files: valueOf('files'),
    kubeconfig: valueOf('kubeconfig'),
    grpcAddress: grpcPort === undefined ? addressOf('grpcAddr', '0.0.0.0:15010', false) : `127.0.0.1:${grpcPort}`,
    secureGrpcAddress: addressOf('secureGRPCAddr', '0.0.0.0:15012', insecure),
    webhookAddress: addressOf('httpsAddr', '0.0.0.0:15017', insecure || values['files'] !== undefined),
    debugAddress: addressOf('httpAddr', insecure ? '127.0.0.1:8080' : '0.0.0.0:8080', false),
    monitoringAddress: addressOf('monitoringAddr', '0.0.0.0:15014', insecure),
    systemNamespace: env['POD_NAMESPACE'] ?? 'istio-system',
    revision: revision === 'default' ? '' : revision,
    clusterId: valueOf('clusterID') ?? env['CLUSTER_ID'] ?? 'Kubernetes',
    domainSuffix: valueOf('domain') ?? 'cluster.local',
    podName: env['POD_NAME'] ?? env['HOSTNAME'] ?? 'istiod',
    logLevel: level === 'debug' || level === 'info' || level === 'warn' || level === 'error' || level === 'none' ? level : 'info',
  };
}

/** Host and port of `host:port` or `[v6]:port`. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, '') || '0.0.0.0', port: Number(address.slice(colon + 1)) };
}

/** The port a server listens on. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
