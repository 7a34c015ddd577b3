/** `install`, `verify-install`, `manifest generate`. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { isAvailable } from '../../install/apply.ts';
import { operatorSpec, PROFILE_NAMES, type OperatorSpec } from '../../install/operator.ts';
import type { Values } from '../../install/values.ts';
import type { Deployment } from '../../objects/kubernetes/deployment.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT } from '../../objects/resource-types.ts';
import { openCluster, withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { installMesh, meshSteps, type MeshInstallation } from '../mesh-install.ts';
import { issueLine, Progress } from '../output.ts';

interface InstallOptions extends ClusterOptions {
  readonly set: readonly string[];
  readonly filename?: string;
  readonly skipConfirmation?: boolean;
  readonly readinessTimeout: string;
}

const collect = (value: string, previous: readonly string[]) => [...previous, value];

function withInstallOptions(command: Command): Command {
  return withClusterOptions(command)
    .option('-s, --set <key=value>', `change one value, e.g. profile=demo (${PROFILE_NAMES.join(', ')}); may be repeated`, collect, [])
    .option('-f, --filename <file>', 'IstioOperator document to start from');
}

export function addInstall(program: Command): void {
  withInstallOptions(program.command('install').alias('apply').description('Install the mesh into a Kubernetes cluster, or reconfigure it'))
    .option('-y, --skip-confirmation', 'do not ask')
    .option('--readiness-timeout <seconds>', 'how long to wait for each part', '300')
    .action(async (options: InstallOptions) => {
      const installation = installationFrom(options);
      const { spec } = installation;
      if (!options.skipConfirmation && !(await confirmed(spec))) return;
      const { client } = openCluster(options);
      let progress = new Progress('Processing resources');
      try {
        const removed = await installMesh(client, installation, (title) => {
          progress.end(`✔ ${title} installed`);
          progress = new Progress('Processing resources');
        }, Number(options.readinessTimeout) * 1000);
        if (removed.length > 0) progress.end(`✔ Removed what the ${spec.profile} profile does not have: ${removed.join(', ')}`);
        progress.end('✔ Installation complete');
      } catch (error) {
        progress.end(`✘ ${messageOf(error)}`);
        process.exitCode = 1;
      } finally {
        client.close();
      }
    });
  const manifest = program.command('manifest').description('Work with the manifests of an installation');
  withInstallOptions(manifest.command('generate').description('Print every object an installation would apply'))
    .action((options: InstallOptions) => {
      for (const object of meshSteps(installationFrom(options).spec).flatMap((step) => step.objects)) process.stdout.write(`${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}---\n`);
    });
  addVerifyInstall(program);
}

function installationFrom(options: InstallOptions): MeshInstallation {
  const document = options.filename === undefined ? undefined : (parse(readFileSync(options.filename, 'utf8')) as { metadata?: { name?: string }; spec?: Values } | null);
  const name = document?.metadata?.name;
  const result = operatorSpec(options.set, document?.spec ?? {});
  if ('spec' in result) return { spec: result.spec, ...(name !== undefined && { name }) };
  for (const issue of result.issues) process.stderr.write(`${issueLine(issue)}\n`);
  process.exit(64);
}

/** Asks on the terminal, or reads the answer from a pipe; no answer is no. */
async function confirmed(spec: OperatorSpec): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  const answer = await Promise.race([terminal.question(`This will install the ${spec.profile} profile into the cluster. Proceed? (y/N) `), ended]);
  terminal.close();
  if (/^y(es)?$/i.test(answer.trim())) return true;
  process.stderr.write('Cancelled: nothing was changed. Say "y", or pass -y.\n');
  process.exitCode = 1;
  return false;
}

function addVerifyInstall(program: Command): void {
  withClusterOptions(program.command('verify-install').description('Check that what an installation needs is there and ready')).action(async (options: ClusterOptions) => {
    const { client } = openCluster(options);
    const namespace = options.istioNamespace ?? 'istio-system';
    try {
      const { items } = await client.list<Deployment>(DEPLOYMENT, { namespace });
      const planes = items.filter((deployment) => deployment.metadata.labels?.['app'] === 'istiod');
      process.stdout.write(`${planes.length} Istio control planes detected, checking --revision "default" only\n`);
      if (planes.length === 0) throw new Error('no istiod was found. Install it: meltemi install --set profile=demo -y');
      const definitions = (await client.list<KubeObject>(CUSTOM_RESOURCE_DEFINITION)).items.filter((definition) => definition.metadata.name.endsWith('.istio.io'));
      for (const object of [...definitions.map((definition) => `CustomResourceDefinition: ${definition.metadata.name}.`), ...items.map((deployment) => `Deployment: ${deployment.metadata.name}.${namespace}`)])
        process.stdout.write(`✔ ${object} checked successfully\n`);
      process.stdout.write(`Checked ${definitions.length} custom resource definitions\nChecked ${items.length} Istio Deployments\n`);
      const missing = items.filter((deployment) => !isAvailable(deployment)).map((deployment) => deployment.metadata.name);
      if (missing.length > 0) throw new Error(`not ready: ${missing.join(', ')}. Look: kubectl -n ${namespace} describe pods`);
      process.stdout.write('✔ Istio is installed and verified successfully\n');
    } catch (error) {
      process.stderr.write(`Error: ${messageOf(error)}\n`);
      process.exitCode = 1;
    } finally {
      client.close();
    }
  });
}
