/** What `up` does once the cluster's API answers: a table, read top to bottom. */
import { operatorSpec } from '../install/operator.ts';
import { createHttpsClient, type HttpsKubeClient } from '../kube/client/https-client.ts';
import { readKubeConfig } from '../kube/client/kube-config.ts';
import type { RuntimeInfo } from '../local/launcher/runtime.ts';
import { deploySample, installMesh } from './mesh-install.ts';
import { issueLine } from './output.ts';

/** The options of `up` that steps obey. */
export interface UpFlags {
  readonly installMesh: boolean;
  readonly set: readonly string[];
  readonly deploy?: string;
}

export interface UpStepContext {
  readonly runtime: RuntimeInfo;
  readonly flags: UpFlags;
  /** A part of the step is finished: its line is printed and the step's own line goes on. */
  readonly done: (title: string) => void;
}

export interface UpStep {
  readonly wanted: (flags: UpFlags) => boolean;
  readonly title: (flags: UpFlags) => string;
  readonly doneTitle: (flags: UpFlags) => string;
  /** Rejects with a sentence for the user; `up` then undoes everything. */
  readonly run: (context: UpStepContext) => Promise<void>;
}

/** What is wrong with the flags, before anything is started; undefined when nothing is. */
export function refuseFlags(flags: UpFlags): string | undefined {
  const result = operatorSpec([DEFAULT_PROFILE, ...flags.set]);
  return 'spec' in result ? undefined : result.issues.map(issueLine).join('\n');
}

/** The profile of a mesh on one machine: with both gateways, as Istio's lessons expect. */
const DEFAULT_PROFILE = 'profile=demo';

export const UP_STEPS: readonly UpStep[] = [
  {
    wanted: (flags) => flags.installMesh,
    title: () => 'Installing the mesh',
    doneTitle: () => 'Mesh installed',
    run: async ({ runtime, flags, done }) => {
      const result = operatorSpec([DEFAULT_PROFILE, ...flags.set]);
      if (!('spec' in result)) throw new Error(result.issues.map(issueLine).join('\n'));
      await withClient(runtime, async (client) => void (await installMesh(client, { spec: result.spec }, (title) => done(`${title} installed`))));
    },
  },
  {
    wanted: (flags) => flags.deploy !== undefined,
    title: (flags) => `Deploying ${flags.deploy}`,
    doneTitle: (flags) => `${flags.deploy} is ready`,
    run: async ({ runtime, flags }) => {
      await withClient(runtime, (client) => deploySample(client, flags.deploy!));
    },
  },
];

async function withClient(runtime: RuntimeInfo, use: (client: HttpsKubeClient) => Promise<void>): Promise<void> {
  const client = createHttpsClient(readKubeConfig({ path: runtime.kubeconfig }));
  try {
    await use(client);
  } finally {
    client.close();
  }
}
