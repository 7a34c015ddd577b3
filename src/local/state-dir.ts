/** Where a cluster keeps its files: `$MELTEMI_HOME`, default `~/.meltemi`. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface StateDir {
  readonly home: string;
  /** Ours, never the user's `~/.kube/config`. */
  readonly kubeconfig: string;
  /** Certificates and keys of the embedded API server. */
  readonly pki: string;
  /** The API server's store. */
  readonly data: string;
  /** A folder per pod uid: logs and emptyDir volumes. */
  readonly pods: string;
  /** A folder per persistent volume. */
  readonly volumes: string;
  /** Lock and description of the running cluster. */
  readonly run: string;
  /** What the running cluster is: {@link RuntimeInfo} as JSON. */
  readonly runtimeFile: string;
  /** Host ports, kept so that the next `up` uses the same ones. */
  readonly portsFile: string;
  readonly log: string;
}

/** Paths below one home directory. `home` defaults to `$MELTEMI_HOME`, then `~/.meltemi`. */
export function stateDir(home?: string): StateDir {
  const root = resolve(home ?? process.env['MELTEMI_HOME'] ?? join(homedir(), '.meltemi'));
  const run = join(root, 'run');
  return {
    home: root,
    kubeconfig: join(root, 'kubeconfig'),
    pki: join(root, 'pki'),
    data: join(root, 'data'),
    pods: join(root, 'pods'),
    volumes: join(root, 'volumes'),
    run,
    runtimeFile: join(run, 'cluster.json'),
    portsFile: join(root, 'ports.json'),
    log: join(root, 'cluster.log'),
  };
}
