/** `up`: the mesh on this machine, with one command. */
import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { messageOf } from '../../base/errors.ts';
import type { DataPlane } from '../../local/cluster-config.ts';
import type { ImageMapping } from '../../local/images.ts';
import { endLeftovers, launchCluster, stopCluster, type Launched } from '../../local/launcher/launch.ts';
import { LockedError, takeLock } from '../../local/launcher/lock.ts';
import { chooseNetwork, NETWORK_CHOICES, type NetworkChoice } from '../../local/launcher/network-choice.ts';
import { runBuild } from '../../local/project/build-step.ts';
import { PROJECT_FILE, projectIssueLine, readProject } from '../../local/project/project-file.ts';
import { networkOf } from '../../local/settings.ts';
import { DEFAULT_PORTS, openPorts, type OpenPort, type PortRequest } from '../../local/launcher/ports.ts';
import { cleanState, readRuntime, type RuntimeInfo } from '../../local/launcher/runtime.ts';
import { packageObstacle, stateObstacle } from '../../local/launcher/state-check.ts';
import { stateDir, type StateDir } from '../../local/state-dir.ts';
import { SAMPLE_NAMES, samplesDirectory } from '../mesh-install.ts';
import { Progress } from '../output.ts';
import { findEnvoy } from '../../agent/envoy/find-envoy.ts';
import { refuseFlags, UP_STEPS, type UpFlags } from '../up-steps.ts';

interface Flags extends UpFlags {
  readonly dataPlane: DataPlane;
  readonly network: NetworkChoice;
  readonly image: readonly ImageMapping[];
  readonly config?: string;
  readonly publish: readonly PortRequest[];
  readonly foreground?: boolean;
}

const MIN_NODE_MAJOR = 20;

export function addUp(program: Command): void {
  program
    .command('up')
    .description('Start a whole mesh on this machine: a Kubernetes API, the control plane, an ingress gateway')
    .addOption(new Option('--data-plane <name>', 'what runs as sidecar and gateway').choices(['proxy', 'envoy']).default('proxy'))
    .addOption(new Option('--network <kind>', 'how pods are told apart: network namespaces, loopback addresses (no privileges), or what this machine allows').choices([...NETWORK_CHOICES]).default('auto'))
    .option('--image <name=command>', 'program that runs for an image; may be repeated', collectImage, [])
    .option('--config <file>', 'images of your project: what runs for them, how it is built, what restarts it (default: meltemi.yaml of this folder)')
    .option('--publish <host:service>', 'also lead this port of 127.0.0.1 to that port of a LoadBalancer service; may be repeated', collectPort, [])
    .option('--no-install-mesh', 'only the Kubernetes API and its pods')
    .option('-s, --set <key=value>', 'change one value of the installation, as "install" takes it; may be repeated', (value: string, all: readonly string[]) => [...all, value], [])
    .addOption(new Option('--deploy <sample>', 'apply a sample when the mesh is ready').choices([...SAMPLE_NAMES]))
    .option('--foreground', 'stay until Ctrl-C, then stop the mesh')
    .addHelpText('after', `
The state is kept in $MELTEMI_HOME (default ~/.meltemi). Everything else lives in namespaces that the kernel removes with the mesh.
Example: meltemi up --image registry.example/shop='node /home/me/shop/server.js'`)
    .action(up);
}

function collectImage(value: string, all: readonly ImageMapping[]): readonly ImageMapping[] {
  const equals = value.indexOf('=');
  if (equals < 1 || equals === value.length - 1) throw new Error(`--image ${value}: write it as NAME=COMMAND, for example --image shop='node server.js'`);
  return [...all, { image: value.slice(0, equals), command: value.slice(equals + 1), cwd: process.cwd() }];
}

function collectPort(value: string, all: readonly PortRequest[]): readonly PortRequest[] {
  const match = /^(\d{1,5}):(\d{1,5})$/.exec(value);
  if (!match || match.slice(1).some((port) => Number(port) < 1 || Number(port) > 65_535)) throw new Error(`--publish ${value}: write it as HOSTPORT:SERVICEPORT, for example --publish 9000:31400`);
  return [...all, { name: `port${match[2]}`, hostPort: Number(match[1]), servicePort: Number(match[2]) }];
}

async function up(flags: Flags, command: Command): Promise<void> {
  const refusal = refuseFlags(flags);
  if (refusal !== undefined) return fail(refusal);
  const dir = stateDir();
  const closed = stateObstacle(dir);
  if (closed) return fail(`${closed.what}\n      ${closed.fix}`);
  const forgetSignals = leaveOnSignal();
  const release = lock(dir);
  if (!release) return;
  try {
    const running = readRuntime(dir);
    if (running) {
      process.stderr.write(`The mesh is already running since ${running.startedAt.slice(0, 19).replace('T', ' ')} UTC (stop it with "meltemi down").\n`);
      if (running.dataPlane !== flags.dataPlane && command.getOptionValueSource('dataPlane') === 'cli') process.stderr.write(`It keeps its data plane ${running.dataPlane}: another one needs "meltemi down" first.\n`);
      await runSteps(running, { ...flags, installMesh: false });
      printSummary(running, flags);
      return;
    }
    const launched = await start(dir, flags, forgetSignals);
    if (!launched) return;
    release();
    if (flags.foreground) await stay(dir, launched);
    else launched.detach();
  } finally {
    release();
  }
}

function lock(dir: StateDir): (() => void) | undefined {
  try {
    return takeLock(dir);
  } catch (error) {
    if (error instanceof LockedError) return fail(`${error.message}; try again when it has finished.`);
    return fail(`the state directory ${dir.home} cannot be written (${messageOf(error)}): set $MELTEMI_HOME or --home to a folder of your own`);
  }
}

function fail(message: string): undefined {
  process.stderr.write(`${message.startsWith('Error [') ? '' : 'Error: '}${message}\n`);
  process.exitCode = 1;
  return undefined;
}

/** Checks, cleans, launches and installs; undefined (and nothing left) when any of it fails or is interrupted. */
async function start(dir: StateDir, flags: Flags, forgetSignals: () => void): Promise<Launched | undefined> {
  if (Number(process.versions.node.split('.')[0]) < MIN_NODE_MAJOR) return fail(`Node ${process.versions.node} is too old: meltemi needs ${MIN_NODE_MAJOR}.19 or newer`);
  const program = join(import.meta.dirname, 'cluster.js');
  if (!existsSync(program)) return fail(`${program} is missing: build it with "npm run build"`);
  if (flags.network !== 'loopback' && (dir.home.startsWith('/run/') || program.startsWith('/run/'))) return fail('neither the state directory nor this program may be below /run: pods have a /run of their own');
  const project = await readyProject(flags.config);
  if (project === false) return undefined;
  const choice = await chooseNetwork(flags.network, dir);
  if (!choice.ok) return fail(`pods cannot run on this machine:\n${choice.obstacles.map(({ what, fix }) => `  ✘ ${what}\n      ${fix}`).join('\n')}`);
  const { network } = choice;
  const kind = networkOf(network.mode);
  if (kind === 'loopback' && flags.dataPlane === 'envoy') return fail(`Envoy needs network namespaces, and this would be the loopback network (${network.why}): use --data-plane proxy`);
  const unreadable = network.mode === 'root' ? packageObstacle(dirname(import.meta.dirname)) : undefined;
  if (unreadable) return fail(`${unreadable.what}\n      ${unreadable.fix}`);
  const envoyPath = flags.dataPlane === 'envoy' ? findEnvoy() : undefined;
  if (flags.dataPlane === 'envoy' && envoyPath === undefined) return fail('Envoy is missing: set ENVOY_BIN, put "envoy" on the PATH, or run "scripts/setup.sh --with-envoy"');
  const isNew = !existsSync(dir.data);
  cleanState(dir, { data: false });
  const ports = await openPorts(dir, [...DEFAULT_PORTS, ...flags.publish]);
  tellMoved(ports);
  await endLeftovers(dir.home);
  const progress = new Progress(`Starting the cluster (network ${kind}: ${network.why})`);
  const launched = launchCluster({ dir, network, dataPlane: flags.dataPlane, images: flags.image, ...(project === undefined ? {} : { project }), ports, program, foreground: flags.foreground ?? false, onProgress: (step) => progress.update(`Starting the cluster: ${step}`), ...(envoyPath === undefined ? {} : { envoyPath }) });
  const interrupted = interruption();
  forgetSignals();
  try {
    await Promise.race([launched.ready, interrupted.happened]);
    progress.end(`✔ Cluster started (network ${kind}: ${network.why})`);
    await Promise.race([runSteps(launched.runtime, flags), interrupted.happened, launched.ended.then(() => Promise.reject(new Error('the cluster has ended; its log is ' + dir.log)))]);
    printSummary(launched.runtime, flags);
    return launched;
  } catch (error) {
    progress.end(`✘ ${messageOf(error)}`);
    await stopCluster(launched.runtime);
    cleanState(dir, { data: isNew });
    process.stderr.write('Nothing is left running.\n');
    process.exitCode = interrupted.code ?? 1;
    // Steps that wait for the API would keep this process.
    process.exit();
  } finally {
    interrupted.forget();
  }
}

/** The project's file, checked, with every image built; undefined when there is none, false when something failed and was told. */
async function readyProject(asked: string | undefined): Promise<string | false | undefined> {
  const path = resolve(asked ?? PROJECT_FILE);
  if (asked === undefined && !existsSync(path)) return undefined;
  const failed = (message: string): false => (fail(message), false);
  try {
    const { images, issues } = readProject(path);
    if (issues.length > 0) return failed(issues.map((issue) => projectIssueLine({ ...issue, file: relative(process.cwd(), issue.file) || issue.file })).join('\n'));
    for (const mapping of images.filter(({ build }) => build !== undefined)) {
      const progress = new Progress(`Building ${mapping.image}`);
      const problem = await runBuild(mapping);
      progress.end(problem === undefined ? `✔ Built ${mapping.image}` : `✘ Building ${mapping.image}`);
      if (problem !== undefined) return failed(problem);
    }
    process.stderr.write(`✔ ${relative(process.cwd(), path) || path}: ${images.map(({ image }) => image).join(', ')}\n`);
    return path;
  } catch (error) {
    return failed(`${path} cannot be read: ${messageOf(error)}`);
  }
}

function tellMoved(ports: readonly OpenPort[]): void {
  for (const port of ports) if (port.moved !== undefined) process.stderr.write(`Port ${port.moved} is taken; ${port.servicePort === undefined ? 'the API server' : `port ${port.servicePort} of the ingress`} is on ${port.hostPort}.\n`);
}

/** Before anything runs, Ctrl-C only has to tell the shell so; builds take time. */
function leaveOnSignal(): () => void {
  const leave = (signal: NodeJS.Signals): void => process.exit(signal === 'SIGINT' ? 130 : 143);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, leave);
  return () => signals.forEach((signal) => process.off(signal, leave));
}

interface Interruption {
  /** Rejects at the first Ctrl-C. */
  readonly happened: Promise<never>;
  /** Exit status that a shell expects after it. */
  code: number | undefined;
  forget(): void;
}

function interruption(): Interruption {
  const result: { happened: Promise<never>; code: number | undefined; forget(): void } = { happened: Promise.race([]), code: undefined, forget: () => {} };
  result.happened = new Promise<never>((_, reject) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      result.code = signal === 'SIGINT' ? 130 : 143;
      reject(new Error('interrupted'));
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    result.forget = () => (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).forEach((signal) => process.off(signal, onSignal));
  });
  result.happened.catch(() => {});
  return result;
}

async function runSteps(runtime: RuntimeInfo, flags: Flags): Promise<void> {
  for (const step of UP_STEPS.filter(({ wanted }) => wanted(flags))) {
    let progress = new Progress(step.title(flags));
    try {
      await step.run({
        runtime,
        flags,
        done: (title) => {
          progress.end(`✔ ${title}`);
          progress = new Progress(step.title(flags));
        },
      });
      progress.end(`✔ ${step.doneTitle(flags)}`);
    } catch (error) {
      progress.end(`✘ ${step.title(flags)}`);
      throw error;
    }
  }
}

/** Stays until Ctrl-C or the end of the cluster. */
async function stay(dir: StateDir, launched: Launched): Promise<void> {
  const interrupted = interruption();
  process.stderr.write('Press Ctrl-C to stop the mesh.\n');
  try {
    await Promise.race([launched.ended, interrupted.happened]);
    fail(`the cluster has ended; its log is ${dir.log}`);
  } catch {
    await stopCluster(launched.runtime);
    cleanState(dir, { data: true });
    process.stderr.write('✔ Stopped: no process, namespace, interface or rule is left\n');
  }
  process.exit();
}

function printSummary(runtime: RuntimeInfo, flags: Flags): void {
  const out = (text = '') => process.stdout.write(`${text}\n`);
  out();
  out(`API server   ${runtime.urls['api']}`);
  if (flags.installMesh) out(`Ingress      ${runtime.urls['ingress']}`);
  if (flags.deploy === 'bookinfo') out(`Bookinfo     ${runtime.urls['ingress']}/productpage`);
  out(`Data plane   ${runtime.dataPlane}`);
  out();
  out('Next:');
  out(`  export KUBECONFIG=${runtime.kubeconfig}`);
  const networking = join(relative(process.cwd(), samplesDirectory()) || '.', 'bookinfo/networking');
  const program = programName();
  const next = flags.deploy === 'bookinfo'
    ? ['kubectl get pods', `kubectl apply -f ${networking}/destination-rule-all.yaml -f ${networking}/virtual-service-all-v1.yaml`, `${program} load --duration 10s`]
    : !flags.installMesh ? ['kubectl get nodes', `${program} install --set profile=demo`]
    : ['kubectl label namespace default istio-injection=enabled', `${program} up --deploy bookinfo`, `${program} status`];
  for (const command of next) out(`  ${command}`);
}

/** How the user can call this program again: by its name when it is installed, through npx in a clone. */
function programName(): string {
  return basename(process.argv[1] ?? '') === 'meltemi' && process.env['npm_command'] === undefined ? 'meltemi' : 'npx meltemi';
}
