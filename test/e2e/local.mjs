// One machine as a cluster, without the mesh: what the kubelet, cluster DNS, service addresses and the launcher promise. As root and as an ordinary user.
// `node test/e2e/local.mjs [root|user]`, or from run.mjs.
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, eventually, http, machineState, processes, root, run, Suite } from './harness.mjs';

const DIST = process.env.MELTEMI_DIST ?? join(root, 'dist');
const UID = 1000;

/** A server with a name, ports from the environment and a polite end. */
const ECHO = `
const http = require('http');
const greeting = (process.argv.find((a) => a.startsWith('--greeting=')) ?? '').slice(11);
for (const port of (process.env.PORTS ?? '8080').split(',')) http.createServer((q, s) => {
  s.end(JSON.stringify({ greeting, port, pod: process.env.HOSTNAME, path: q.url, env: q.url === '/env' ? process.env : undefined, uid: process.getuid() }) + '\\n');
}).listen(Number(port));
process.on('SIGTERM', () => { console.log('echo ends'); process.exit(0); });
console.log('echo listens');
`;

/** A project whose program is built from one source, which restarts it. */
const PROJECT = `
images:
  - image: registry.example/dev
    command: [sh, -c, 'cat built.txt; echo; sleep 600']
    build: test "$(cat dev.txt)" != broken && cp dev.txt built.txt
    watch: [dev.txt]
`;

/** Runs everything in one privilege mode (`root`, `user`); returns the suite. Needs root for `user` too, to become somebody else. */
export async function local(mode) {
  const suite = new Suite(`one machine as ${mode}`);
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-local-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  chmodSync(folder, 0o755);
  if (mode === 'user') chownSync(home, UID, UID);
  writeFileSync(join(folder, 'echo.js'), ECHO);
  writeFileSync(join(folder, 'meltemi.yaml'), PROJECT);
  writeFileSync(join(folder, 'dev.txt'), 'one');
  if (mode === 'user') for (const path of ['dev.txt', '.']) chownSync(join(folder, path), UID, UID);
  const as = mode === 'user' ? ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups'] : ['env'];
  const env = { MELTEMI_HOME: home, HOME: home };
  const argv = (...args) => [...as.slice(1), process.execPath, join(DIST, 'meltemi.js'), ...args];
  const meltemi = (...args) => run(as[0], argv(...args), { env });
  const kubectl = (...args) => run('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), ...args], { env: { HOME: folder } });
  const context = { suite, folder, home, env, as, argv, meltemi, kubectl, mode, before: machineState() };
  try {
    await launcherSteps(context);
    await podSteps(context);
    await crashSteps(context);
  } finally {
    await endSteps(context);
    rmSync(folder, { recursive: true, force: true });
  }
  return suite;
}

const upArgs = ({ folder }) => ['up', '--no-install-mesh', '--image', `registry.example/echo=node ${join(folder, 'echo.js')}`, '--config', join(folder, 'meltemi.yaml')];
const leftovers = (home) => processes().filter((process) => process.command.includes(home) || environmentHas(process.pid, home));

function environmentHas(pid, text) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`MELTEMI_HOME=${text}`) && pid !== process.pid && !/local\.mjs|run\.mjs/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false;
  }
}

async function launcherSteps({ suite, home, env, as, argv, meltemi, mode, ...rest }) {
  await suite.step('Ctrl-C while it starts undoes everything', async () => {
    const child = spawn(as[0], argv('up'), { env: { ...process.env, ...env }, stdio: 'ignore' });
    // Not before it has begun: a busy machine takes a while to load the program.
    await eventually(() => check(existsSync(join(home, 'run/lock')), 'no lock'), 5000, 20);
    await sleep(300);
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('exit', resolve));
    check(code === 130, `exit ${code}`);
    await eventually(() => check(leftovers(home).length === 0, leftovers(home).map((one) => one.command).join('; ')), 3000);
  });
  await suite.step('up is ready within 5 s', async () => {
    const from = Date.now();
    await meltemi(...upArgs(rest));
    check(Date.now() - from < 5000, `${Date.now() - from} ms`);
    return `${Date.now() - from} ms`;
  });
  await suite.step('status -o json has the contract\'s fields', async () => {
    const status = JSON.parse((await meltemi('status', '-o', 'json')).stdout);
    check(status.ready && status.network === (mode === 'root' ? 'root' : 'user-namespace') && status.dataPlane === 'proxy' && status.kubeconfig === join(home, 'kubeconfig') && /^http:\/\/127\.0\.0\.1:\d+$/.test(status.urls.ingress) && Array.isArray(status.pods), JSON.stringify(status));
  });
  await suite.step('up twice says so and prints the same', async () => {
    const { stdout, stderr } = await meltemi(...upArgs(rest));
    check(stderr.includes('already running') && stdout.includes(JSON.parse((await meltemi('status', '-o', 'json')).stdout).urls.api), stderr + stdout);
  });
}

async function podSteps(context) {
  const { suite, kubectl, meltemi, folder, mode } = context;
  const json = async (...args) => JSON.parse((await kubectl(...args, '-o', 'json')).stdout);
  const pod = (name) => json('get', 'pod', name);
  const inClient = async (command) => (await kubectl('exec', 'client', '--', 'sh', '-c', command)).stdout;
  await suite.step('apply', async () => {
    const text = readFileSync(join(root, 'test/e2e/local-pods.yaml'), 'utf8').replaceAll('{{exempt}}', mode === 'root' ? '-m owner --uid-owner 1337' : '-m mark --mark 1337');
    writeFileSync(join(folder, 'pods.yaml'), text);
    await kubectl('apply', '-f', join(folder, 'pods.yaml'));
    const from = Date.now();
    await kubectl('rollout', 'status', 'deployment/echo', '--timeout=20s');
    await kubectl('wait', 'pod/client', 'pod/intercepted', '--for=condition=Ready', '--timeout=20s');
    return `ready after ${Date.now() - from} ms`;
  });
  await suite.step('init container, sidecar, environment, volumes', async () => {
    const name = (await kubectl('get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[0].metadata.name}')).stdout;
    const inEcho = async (command) => (await kubectl('exec', name, '-c', 'echo', '--', 'sh', '-c', command)).stdout;
    const { env } = JSON.parse(await inEcho('curl -s localhost:8080/env'));
    const { status } = await pod(name);
    check(env.BOTH === 'blue-xyzzy' && env.POD_IP === status.podIP && env.KUBERNETES_SERVICE_HOST === '10.96.0.1', JSON.stringify(env));
    check((await inEcho('cat /scratch/note')) === `prepared for ${name}\n`, 'init container');
    check((await inEcho('cat /etc/echo/settings/colour /etc/echo/one')) === 'bluefirst', 'configMap');
    check((await inEcho('cat /etc/podinfo/labels /etc/podinfo/annotations')).includes('version="v1"') && (await inEcho('cat /etc/podinfo/annotations')).includes('note="say \\"hi\\""'), 'downward API');
    const claims = JSON.parse(Buffer.from((await inEcho('cat /var/run/secrets/tokens/istio-token')).split('.')[1], 'base64url').toString());
    check(claims.aud[0] === 'istio-ca' && claims['kubernetes.io'].pod.name === name && claims.exp - claims.iat === 43200, JSON.stringify(claims));
    check(status.initContainerStatuses[0].state.terminated.reason === 'Completed' && status.initContainerStatuses[1].state.running && status.initContainerStatuses[1].ready, JSON.stringify(status.initContainerStatuses));
  });
  await suite.step('a changed ConfigMap reaches its volume', async () => {
    await kubectl('patch', 'configmap', 'settings', '-p', '{"data":{"colour":"green"}}');
    await eventually(async () => check((await kubectl('exec', 'deploy/echo', '-c', 'echo', '--', 'cat', '/etc/echo/settings/colour')).stdout === 'green', 'still the old one'), 3000);
  });
  await suite.step('services spread, resolve and refuse', async () => {
    const pods = (await inClient('for i in $(seq 40); do curl -s http://echo/; done')).trim().split('\n').map((line) => JSON.parse(line).pod);
    const counts = [...new Set(pods)].map((name) => pods.filter((other) => other === name).length);
    check(counts.length === 2 && Math.min(...counts) >= 8, counts.join(':'));
    check((await inClient('getent ahostsv4 echo-members | grep -c STREAM')).trim() === '2', 'headless');
    check((await inClient('curl -s -m 2 http://nobody; echo $?')).trim() === '7', 'a service without endpoints must refuse');
    check((await inClient('curl -s -m 2 http://example.com; echo $?')).trim() === '6', 'outside names must fail at once');
    check((await inClient('curl -s -o /dev/null -w "%{http_code}" -k https://kubernetes.default/version')).trim() === '200', 'API server');
    return counts.join(':');
  });
  await suite.step('a pod reaches itself through its service', async () => {
    await eventually(async () => {
      const seen = (await kubectl('exec', 'deploy/echo', '-c', 'echo', '--', 'sh', '-c', 'for i in $(seq 12); do curl -s -m 2 http://echo/; done')).stdout.trim().split('\n').map((line) => JSON.parse(line).pod);
      check(new Set(seen).size === 2, seen.join());
    }, 4000);
  });
  await suite.step('a LoadBalancer service is on the host', async () => {
    const { urls } = JSON.parse((await run(context.as[0], context.argv('status', '-o', 'json'), { env: context.env, expect: null })).stdout);
    const answer = await eventually(async () => {
      const got = await http(urls.ingress);
      check(got.status === 200, `${got.status} ${got.error}`);
      return JSON.parse(got.body);
    }, 3000);
    check(answer.greeting === 'hello', JSON.stringify(answer));
    check((await json('get', 'service', 'echo-outside')).status.loadBalancer.ingress[0].ip === '127.0.0.1', 'address');
  });
  await suite.step('traffic is intercepted, except for the exempt', async () => {
    const caught = JSON.parse((await kubectl('exec', 'intercepted', '-c', 'app', '--', 'curl', '-s', '-m', '3', 'http://1.2.3.4/')).stdout);
    check(caught.greeting === 'caught' && caught.port === '15001', JSON.stringify(caught));
    if (mode === 'root') check(caught.uid === 1337, `the proxy runs as ${caught.uid}`);
    const { podIP } = (await pod('intercepted')).status;
    check(JSON.parse(await inClient(`curl -s -m 3 http://${podIP}:9999/`)).port === '15006', 'inbound');
  });
  await suite.step('a changed source builds and restarts what meltemi.yaml maps; what does not build goes on', async () => {
    await kubectl('run', 'dev', '--image=registry.example/dev:latest');
    await kubectl('wait', 'pod/dev', '--for=condition=Ready', '--timeout=10s');
    const state = async () => ({ log: (await kubectl('logs', 'dev')).stdout.trim(), restarts: (await pod('dev')).status.containerStatuses[0].restartCount });
    check((await state()).log === 'one', JSON.stringify(await state()));
    for (const [text, restarts] of [['two', 1], ['three', 2]]) {
      writeFileSync(join(folder, 'dev.txt'), text);
      await eventually(async () => {
        const now = await state();
        check(now.log === text && now.restarts === restarts, JSON.stringify(now));
      }, 6000);
    }
    writeFileSync(join(folder, 'dev.txt'), 'broken');
    await eventually(async () => check((await kubectl('get', 'events', '--field-selector', 'reason=BuildFailed', '-o', 'name')).stdout !== '', 'no event'), 4000);
    check((await state()).log === 'three', JSON.stringify(await state()));
    await kubectl('delete', 'pod', 'dev', '--grace-period=0', '--force');
    writeFileSync(join(folder, 'dev.txt'), 'one');
  });
  await suite.step('what is typed reaches a container: kubectl run -i, and attach -i', async () => {
    const kube = (input, ...args) => run('kubectl', ['--kubeconfig', join(context.home, 'kubeconfig'), ...args], { env: { HOME: folder }, input });
    const { stdout } = await kube('hello\nworld\n', 'run', 'typed', '--image=busybox', '-i', '--rm', '--restart=Never', '--', 'sh', '-c', 'while read line; do echo "got $line"; done; echo end');
    check(/got hello\ngot world\nend\n/.test(stdout), stdout);
    await kubectl('run', 'open', '--image=busybox', '--stdin', '--attach=false', '--restart=Never', '--', 'sh', '-c', 'while read line; do echo "got $line"; done');
    await kubectl('wait', 'pod/open', '--for=condition=Ready', '--timeout=10s');
    await kube('one\n', 'attach', '-i', 'open').catch(() => {});
    await eventually(async () => check((await kubectl('logs', 'open')).stdout.includes('got one'), 'nothing arrived'), 3000);
    await kubectl('delete', 'pod', 'open', '--grace-period=0', '--force');
  });
  await suite.step('a container says why it ended', async () => {
    const end = (name, fields) => ({ name, image: 'busybox', ...fields });
    const containers = [
      end('default', { command: ['sh', '-c', 'printf bye > /dev/termination-log; exit 3'] }),
      end('path', { command: ['sh', '-c', 'printf own > /tmp/why'], terminationMessagePath: '/tmp/why' }),
      end('log', { command: ['sh', '-c', 'echo last words; exit 1'], terminationMessagePolicy: 'FallbackToLogsOnError' }),
      end('silent', { command: ['sh', '-c', 'echo last words; test -c /dev/null && test -w /dev/null; exit 1'] }),
    ];
    await run('kubectl', ['--kubeconfig', join(context.home, 'kubeconfig'), 'apply', '-f', '-'], { env: { HOME: folder }, input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'why' }, spec: { restartPolicy: 'Never', containers } }) });
    await eventually(async () => check((await pod('why')).status.phase === 'Failed', 'still running'), 8000);
    const messages = Object.fromEntries((await pod('why')).status.containerStatuses.map(({ name, state }) => [name, state.terminated.message]));
    check(JSON.stringify(Object.entries(messages).sort(([a], [b]) => (a < b ? -1 : 1))) === JSON.stringify([['default', 'bye'], ['log', 'last words\n'], ['path', 'own'], ['silent', undefined]]), JSON.stringify(messages));
    check(!existsSync('/dev/termination-log'), 'a file is left in /dev of this machine');
  });
  await suite.step('a cordoned node takes no new pods until it is open again', async () => {
    await kubectl('cordon', 'meltemi');
    await kubectl('run', 'waits', '--image=busybox', '--restart=Never', '--', 'true');
    await eventually(async () => check((await pod('waits')).status.conditions?.some(({ reason, message }) => reason === 'Unschedulable' && message.includes('were unschedulable')), JSON.stringify((await pod('waits')).status)), 3000);
    await kubectl('uncordon', 'meltemi');
    await eventually(async () => check((await pod('waits')).status.phase === 'Succeeded', 'not run'), 5000);
  });
  await suite.step('a StatefulSet\'s volume outlives its pod', async () => {
    const set = {
      apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'kept' },
      spec: {
        serviceName: 'kept', selector: { matchLabels: { app: 'kept' } }, volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } } }],
        template: { metadata: { labels: { app: 'kept' } }, spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'a', image: 'busybox', command: ['sh', '-c', 'echo $HOSTNAME >> /data/starts; cat /data/starts; sleep 600'], volumeMounts: [{ name: 'data', mountPath: '/data' }] }] } },
      },
    };
    await run('kubectl', ['--kubeconfig', join(context.home, 'kubeconfig'), 'apply', '-f', '-'], { env: { HOME: folder }, input: JSON.stringify(set) });
    await kubectl('rollout', 'status', 'statefulset/kept', '--timeout=10s');
    await kubectl('delete', 'pod', 'kept-0');
    await eventually(async () => check((await kubectl('logs', 'kept-0')).stdout === 'kept-0\nkept-0\n', 'the file is not what two starts leave'), 10_000);
    await kubectl('delete', 'statefulset/kept', 'pvc/data-kept-0');
  });
  await suite.step('an unknown image says how to map it', async () => {
    const { status } = await pod('unknown-image');
    const { waiting } = status.containerStatuses[0].state;
    check(/^(ErrImagePull|ImagePullBackOff)$/.test(waiting.reason) && waiting.message.includes('meltemi up --image registry.example/nothing:2=COMMAND'), JSON.stringify(waiting));
  });
  await suite.step('a crashing container backs off; logs -p shows its last run', async () => {
    await eventually(async () => {
      const [status] = (await pod('crashing')).status.containerStatuses;
      check(status.restartCount >= 1 && (status.state.waiting?.reason === 'CrashLoopBackOff' || status.state.terminated) && status.lastState.terminated.exitCode === 3, JSON.stringify(status));
    }, 5000);
    check((await kubectl('logs', '-p', 'crashing')).stdout === 'run crashing\n', 'previous log');
  });
  await suite.step('a failed liveness probe restarts', async () => {
    await eventually(async () => check((await pod('unhealthy')).status.containerStatuses[0].restartCount >= 1, 'not restarted'), 10_000, 300);
    check((await kubectl('get', 'events')).stdout.includes('failed liveness probe, will be restarted'), 'event');
  });
  await suite.step('a finished pod is Succeeded; a hostPath is refused with a reason', async () => {
    check((await pod('finished')).status.phase === 'Succeeded', 'phase');
    check((await kubectl('get', 'events')).stdout.includes('hostPath is refused'), 'event');
  });
  await suite.step('deletion runs preStop, sends SIGTERM, ends the sidecar last', async () => {
    const name = (await kubectl('get', 'pods', '-l', 'app=echo', '-o', 'jsonpath={.items[0].metadata.name}')).stdout;
    const logs = (container) => run('kubectl', ['--kubeconfig', join(context.home, 'kubeconfig'), 'logs', '-f', '--timestamps', name, '-c', container], { env: { HOME: folder } });
    const following = Promise.all([logs('echo'), logs('helper')]);
    following.catch(() => {});
    await sleep(300);
    await kubectl('delete', 'pod', name);
    const [echo, helper] = (await following).map(({ stdout }) => stdout.trim().split('\n').at(-1).split(' '));
    check(echo.slice(1).join(' ') === 'echo ends' && helper.slice(1).join(' ') === 'helper ends', `${echo} / ${helper}`);
    check(echo[0] < helper[0], `the sidecar ended first: ${echo[0]} ${helper[0]}`);
  });
  await suite.step('orphans are reaped', async () => {
    await inClient('for i in $(seq 20); do (sleep 0.01 & ) ; done; sleep 0.3');
    const zombies = Number((await inClient('grep -l "^State:.*Z" /proc/[0-9]*/status 2>/dev/null | wc -l')).trim());
    check(zombies === 0, `${zombies} zombies`);
  });
  void meltemi;
}

async function crashSteps({ suite, home, meltemi, kubectl, ...rest }) {
  await suite.step('kill -9 of the cluster ends everything; up starts over with what was stored', async () => {
    const { pid } = JSON.parse(readFileSync(join(home, 'run/cluster.json'), 'utf8'));
    const init = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
    process.kill(init, 'SIGKILL');
    await eventually(() => check(leftovers(home).length === 0, leftovers(home).map((one) => one.command).join('; ')), 3000);
    await meltemi(...upArgs(rest));
    await kubectl('wait', 'pod/client', '--for=condition=Ready', '--timeout=20s');
    await kubectl('rollout', 'status', 'deployment/echo', '--timeout=20s');
  });
}

async function endSteps({ suite, home, meltemi, before }) {
  await suite.step('down leaves no process, namespace, interface, rule or mount', async () => {
    await meltemi('down');
    await eventually(() => check(leftovers(home).length === 0, leftovers(home).map((one) => one.command).join('; ')), 3000);
    const after = machineState();
    for (const key of Object.keys(before)) check(after[key] === before[key], `${key} differ:\nbefore: ${before[key]}\nafter: ${after[key]}`);
    for (const name of ['data', 'pods', 'pki', 'kubeconfig', 'run/cluster.json']) check(!existsSync(join(home, name)), `${name} is still there`);
  });
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  let failed = 0;
  for (const mode of process.argv[2] ? [process.argv[2]] : ['root', 'user']) failed += (await local(mode)).failed;
  process.exit(failed === 0 ? 0 : 1);
}
