// A machine outside of Kubernetes joins the mesh: our agent as a process, in a network of its own, with nothing but the files of `x workload entry configure`.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, eventually, root, run, Suite } from './harness.mjs';

/** Steps of a run: what is counted as skipped when it cannot be made. */
export const MACHINE_STEPS = 9;

const ADDRESS = '10.244.250.9';
const DIST = process.env.MELTEMI_DIST ?? join(root, 'dist');

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: machines}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: vm, namespace: machines}
---
apiVersion: v1
kind: Service
metadata: {name: vm, namespace: machines}
spec: {selector: {app: vm}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: machines}
spec: {mtls: {mode: STRICT}}
---
`;
const GROUP = `
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vm, namespace: machines}
spec:
  metadata: {labels: {app: vm, version: v1}}
  template: {serviceAccount: vm, network: '', ports: {http: 8080}, locality: r1/z1}
  probe: {periodSeconds: 1, failureThreshold: 2, httpGet: {path: /healthz, port: 8080}}
`;
/** Answers with the caller's certificate; /healthz fails while a file is there. */
const APPLICATION = `
const fs = require('fs');
require('http').createServer((q, s) => {
  if (q.url === '/healthz') s.statusCode = fs.existsSync(process.argv[2]) ? 500 : 200;
  s.end(JSON.stringify({ from: 'machine', caller: q.headers['x-forwarded-client-cert'] ?? '' }));
}).listen(8080);
`;

export async function machine(dataPlane, envoyBin) {
  const suite = new Suite(`a machine outside of Kubernetes on ${dataPlane}`);
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-machine-'));
  const env = { MELTEMI_HOME: join(folder, 'home'), ...(envoyBin && { ENVOY_BIN: envoyBin }) };
  const meltemi = (...args) => run(process.execPath, [join(DIST, 'meltemi.js'), ...args], { env });
  const kubectl = (args, options = {}) => run('kubectl', ['--kubeconfig', join(folder, 'home/kubeconfig'), ...args], { env: { HOME: folder }, ...options });
  const children = [];
  // The agent's user must be able to run it.
  const ownEnvoy = envoyBin && join(folder, 'envoy');
  if (ownEnvoy) copyFileSync(envoyBin, ownEnvoy);
  const context = { suite, folder, env, meltemi, kubectl, children, dataPlane, envoyBin: ownEnvoy, sick: join(folder, 'sick'), files: join(folder, 'files') };
  try {
    const up = await suite.step('the mesh and a program are up', async () => {
      await run(process.execPath, [join(root, 'scripts/start.mjs'), '--data-plane', dataPlane], { env, timeoutMs: 90_000 });
      await kubectl(['apply', '-f', '-'], { input: OBJECTS + GROUP });
    });
    if (up) await steps(context);
    else suite.skip(MACHINE_STEPS - 1, 'the cluster did not come up');
  } finally {
    children.forEach(end);
    await meltemi('down');
    rmSync(folder, { recursive: true, force: true });
  }
  return suite;
}

async function steps(context) {
  const { suite, folder, meltemi, kubectl, files } = context;
  const groupFile = join(folder, 'group.yaml');
  writeFileSync(groupFile, GROUP);
  await suite.step('its files are written', async () => {
    const { stdout: ip } = await kubectl(['get', 'service', 'istiod', '-n', 'istio-system', '-o', 'jsonpath={.spec.clusterIP}']);
    await meltemi('x', 'workload', 'entry', 'configure', '-f', groupFile, '-o', files, '--autoregister', '--clusterID', 'Kubernetes', '--ingressIP', ip, '--internalIP', ADDRESS, '--kubeconfig', join(folder, 'home/kubeconfig'));
  });
  const inside = await connect(context);
  const agent = join(DIST, 'agent.js');
  // What istio-start.sh does: the environment, the rules, the agent as its own user.
  const withEnvironment = (command) => ['sh', '-c', `set -a; . ${files}/cluster.env; set +a; exec ${command}`];
  await run(...inside(withEnvironment(`${process.execPath} ${agent} istio-iptables -u 1337 -g 1337`)));
  writeFileSync(join(folder, 'app.cjs'), APPLICATION);
  start(context, inside([process.execPath, join(folder, 'app.cjs'), context.sick]), 'app');
  const proxy = start(context, inside(withEnvironment(`setpriv --reuid=1337 --regid=1337 --clear-groups ${process.execPath} ${agent} proxy sidecar`)), 'agent');
  const entry = async () => JSON.parse((await kubectl(['get', 'workloadentry', `vm-${ADDRESS}`, '-n', 'machines', '-o', 'json'])).stdout);
  const healthy = async () => (await entry()).status?.conditions?.find(({ type }) => type === 'Healthy')?.status;
  await suite.step('it registers itself', async () => {
    const { spec, metadata } = await eventually(entry, 15_000);
    check(spec.address === ADDRESS && spec.labels.app === 'vm' && spec.serviceAccount === 'vm' && spec.locality === 'r1/z1' && metadata.ownerReferences?.[0]?.name === 'vm', JSON.stringify({ spec, metadata }));
    check(metadata.annotations['istio.io/autoRegistrationGroup'] === 'vm' && metadata.annotations['istio.io/connectedAt'], JSON.stringify(metadata.annotations));
  });
  await suite.step('it reports that it is healthy', () => eventually(async () => check((await healthy()) === 'True', 'no condition Healthy'), 15_000));
  const ask = async () => (await kubectl(['exec', 'deploy/ratings-v1', '-c', 'ratings', '--', 'curl', '-s', '-m', '5', '-w', ' %{http_code}', 'http://vm.machines/'], { expect: null })).stdout;
  await suite.step('a pod calls it, by mutual TLS', () => eventually(async () => {
    const text = await ask();
    check(text.endsWith(' 200') && text.includes('/ns/default/sa/'), text);
  }, 15_000));
  await suite.step('it calls services of the mesh by their names', () => eventually(async () => {
    const { stdout } = await run(...inside(['curl', '-s', '-m', '5', '-w', ' %{http_code}', 'http://reviews.default:9080/reviews/0']), { expect: null });
    check(stdout.endsWith(' 200') && stdout.includes('reviews'), stdout);
  }, 15_000));
  await suite.step('while it is not healthy it gets no requests', async () => {
    writeFileSync(context.sick, '');
    await eventually(async () => check((await healthy()) === 'False', 'still healthy'), 10_000);
    await eventually(async () => check((await ask()).endsWith(' 503'), await ask()), 5000);
    rmSync(context.sick);
    await eventually(async () => check((await ask()).endsWith(' 200'), await ask()), 10_000);
  });
  await suite.step('when it has gone its entry goes, after the grace period', async () => {
    end(proxy);
    await eventually(async () => check((await entry()).metadata.annotations['istio.io/disconnectedAt'], 'not marked'), 8000);
    await eventually(async () => check((await kubectl(['get', 'workloadentry', '-n', 'machines', '-o', 'name'])).stdout === '', 'the entry is still there'), 20_000, 500);
  });
  await suite.step('a workload of a group that does not exist is refused', async () => {
    await kubectl(['delete', 'workloadgroup', 'vm', '-n', 'machines']);
    const second = start(context, inside(withEnvironment(`setpriv --reuid=1337 --regid=1337 --clear-groups ${process.execPath} ${agent} proxy sidecar`)), 'refused');
    await eventually(() => check(readFileSync(join(folder, 'refused.log'), 'utf8').includes('WorkloadGroup machines/vm does not exist'), readFileSync(join(folder, 'refused.log'), 'utf8').slice(-1500)), 10_000);
    end(second);
  });
}

/** A network and a mount namespace of its own, wired to the cluster's node as a machine is to its router; the files stand where the documentation puts them. Returns how to run something inside. */
async function connect({ folder, env, children, files }) {
  const node = String(JSON.parse(readFileSync(join(env.MELTEMI_HOME, 'run/cluster.json'), 'utf8')).pid);
  const setup = `
mount -t tmpfs none /etc/istio 2>/dev/null || { mkdir -p /etc/istio && mount -t tmpfs none /etc/istio; }
mkdir -p /etc/certs && mount -t tmpfs none /etc/certs
mkdir -p /var/run/secrets && mount -t tmpfs none /var/run/secrets
mkdir -p /etc/istio/config /etc/istio/proxy /var/run/secrets/tokens /var/run/secrets/workload-spiffe-uds
cp ${files}/mesh.yaml /etc/istio/config/mesh
cp ${files}/root-cert.pem /etc/certs/root-cert.pem
cp ${files}/istio-token /var/run/secrets/tokens/istio-token
cat /etc/hosts ${files}/hosts > ${folder}/hosts && mount --bind ${folder}/hosts /etc/hosts
chown -R 1337 /etc/istio /etc/certs /var/run/secrets
chmod 711 ${folder} ${files} && chmod 644 ${files}/cluster.env
echo ready && exec sleep 3600`;
  const holder = spawn('nsenter', ['-t', node, '-n', '--', 'unshare', '--net', '--mount', 'sh', '-ec', setup], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(holder);
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve);
    holder.once('exit', (code) => reject(new Error(`the machine's namespaces could not be made: exit ${code}`)));
  });
  const onNode = (...args) => run('nsenter', ['-t', node, '-n', '--', ...args]);
  await onNode('ip', 'link', 'add', 'machine0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder.pid));
  await onNode('ip', 'link', 'set', 'machine0', 'master', 'meltemi0', 'up');
  const inside = (command) => ['nsenter', ['-t', String(holder.pid), '-n', '-m', '--', ...command]];
  for (const line of ['link set lo up', 'link set eth0 up', `addr add ${ADDRESS}/32 dev eth0`, 'route add 10.244.0.1 dev eth0', 'route add default via 10.244.0.1'])
    await run(...inside(['ip', ...line.split(' ')]));
  return inside;
}

function start({ folder, env, children, dataPlane, envoyBin }, [program, args], name) {
  // Envoy opens its output by name, as the user it runs as.
  writeFileSync(join(folder, `${name}.log`), '');
  chmodSync(join(folder, `${name}.log`), 0o666);
  const child = spawn('sh', ['-c', 'exec "$0" "$@" >> "$LOG" 2>&1', program, ...args], { env: { PATH: process.env.PATH, LOG: join(folder, `${name}.log`), MELTEMI_DATA_PLANE: dataPlane === 'envoy' ? 'envoy' : '', ...env, ...(envoyBin && { ENVOY_BIN: envoyBin }) }, stdio: 'ignore' });
  children.push(child);
  return child;
}

/** Children first: Envoy would outlive the agent. */
function end(child) {
  spawnSync('pkill', ['-KILL', '-P', String(child.pid)]);
  child.kill('SIGKILL');
}

// `node test/e2e/machine.mjs [proxy|envoy]`
if (process.argv[1] === import.meta.filename) process.exit((await machine(process.argv[2] === 'envoy' ? 'envoy' : 'proxy', process.env.ENVOY_BIN)).failed === 0 ? 0 : 1);
