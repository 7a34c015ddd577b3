// The main job where nothing is allowed: a user without capabilities and without user namespaces, as in a default container. `node test/e2e/run.mjs --suite loopback`.
import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faults, gatewayApi, mutualTls, routing } from './bookinfo.mjs';
import { check, eventually, http, machineState, processes, root, run, Suite, unprivileged } from './harness.mjs';

const UID = 1000;
const READY_LIMIT_S = Number(process.env.E2E_READY_LIMIT_S ?? 20);
const DIST = process.env.MELTEMI_DIST ?? join(root, 'dist');

export async function loopback() {
  const suite = new Suite('bookinfo without privileges');
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-loopback-'));
  const home = join(folder, 'home');
  mkdirSync(home);
  for (const path of [folder, home]) chownSync(path, UID, UID);
  const nobody = await unprivileged(UID);
  const env = { MELTEMI_HOME: home, HOME: home, USER: 'nobody' };
  const as = (...argv) => run(nobody.argv[0], [...nobody.argv.slice(1), ...argv], { env, expect: null });
  const meltemi = async (...args) => {
    const result = await as(process.execPath, join(DIST, 'meltemi.js'), ...args);
    check(result.code === 0, `meltemi ${args.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`);
    return result;
  };
  const kubectl = (...args) => run('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), ...args], { env: { HOME: folder } });
  const apply = (file) => kubectl('apply', '-f', join(root, 'samples', file));
  const before = machineState();
  const context = { suite, home, env: { HOME: folder }, as, meltemi, kubectl, apply };
  try {
    if (await start(context)) await steps(context);
  } finally {
    await end(context, before);
    nobody.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return suite;
}

async function start(context) {
  const { suite, as, meltemi } = context;
  await suite.step('this user can make no namespace', async () => {
    for (const flag of ['--user', '--net', '--mount']) check((await as('unshare', flag, 'true')).code !== 0, `unshare ${flag} works`);
  });
  await suite.step('doctor names the network, the reason and the fix', async () => {
    const { code, stdout } = await as(process.execPath, join(DIST, 'meltemi.js'), 'doctor', '-o', 'json');
    const report = JSON.parse(stdout);
    const finding = report.findings.find(({ name }) => name === 'network');
    check(code === 0 && report.ok && report.network === 'loopback', `exit ${code}: ${stdout}`);
    check(finding.status === 'warn' && finding.message.includes('max_user_namespaces is 0') && finding.fix.includes('sysctl'), JSON.stringify(finding));
  });
  return suite.step(`up chooses loopback addresses, says why, and reaches a ready Bookinfo within ${READY_LIMIT_S} s`, async () => {
    const from = Date.now();
    const { stderr } = await meltemi('up', '--deploy', 'bookinfo');
    const seconds = (Date.now() - from) / 1000;
    check(/Cluster started \(network loopback: no namespaces here: .*meltemi doctor/.test(stderr), stderr);
    const status = JSON.parse((await meltemi('status', '-o', 'json')).stdout);
    check(status.ready, JSON.stringify(status));
    context.base = status.urls.ingress;
    context.page = `${status.urls.ingress}/productpage`;
    check(seconds <= READY_LIMIT_S, `it took ${seconds.toFixed(1)} s`);
    return `${seconds.toFixed(1)} s`;
  });
}

async function steps(context) {
  const { suite, kubectl, page } = context;
  await suite.step('six pods are 2/2 on addresses of their own', async () => {
    const { stdout } = await kubectl('get', 'pods', '-o', 'wide', '--no-headers');
    const rows = stdout.trim().split('\n');
    check(rows.length === 6 && rows.every((row) => /\s2\/2\s+Running\s/.test(row)), stdout);
    check(new Set(rows.map((row) => /\s127\.\d+\.\d+\.\d+\s/.exec(row)?.[0])).size === 6, stdout);
  });
  await suite.step('productpage answers 200 through the gateway', async () => {
    const answer = await http(page);
    check(answer.status === 200 && answer.body.includes('<title>Simple Bookstore App</title>'), `${answer.status} ${answer.error ?? ''} ${answer.body.slice(0, 200)}`);
    check(answer.headers.server === 'istio-envoy', `server: ${answer.headers.server}`);
  });
  await routing(context);
  await faults(context);
  await mutualTls(context);
  await telemetry(context);
  await kubectlSteps(context);
  await gatewayApi(context);
}

async function telemetry({ suite, kubectl, page }) {
  await suite.step('both sides log a call with its cluster, and metrics name both workloads and mutual TLS', async () => {
    for (let count = 0; count < 5; count++) await http(page);
    await eventually(async () => {
      const out = (await kubectl('logs', 'deploy/productpage-v1', '-c', 'istio-proxy', '--tail=20')).stdout;
      check(/"GET \/reviews\/0 HTTP\/1\.1" 200 .* outbound\|9080\|v1\|reviews\.default\.svc\.cluster\.local /.test(out), out);
      const into = (await kubectl('logs', 'deploy/reviews-v1', '-c', 'istio-proxy', '--tail=20')).stdout;
      check(/"GET \/reviews\/0 HTTP\/1\.1" 200 .* inbound\|9080\|\| 127\.0\.0\.6:\d+ 127\.\d+\.\d+\.\d+:9080 /.test(into), into);
      const { stdout } = await kubectl('exec', 'deploy/reviews-v1', '-c', 'istio-proxy', '--', 'pilot-agent', 'request', 'GET', '/stats/prometheus');
      const line = stdout.split('\n').find((text) => text.startsWith('istio_requests_total{') && text.includes('reporter="destination"') && text.includes('source_workload="productpage-v1"'));
      check(line?.includes('destination_workload="reviews-v1"') && line.includes('connection_security_policy="mutual_tls"') && line.includes('source_principal="spiffe://cluster.local/ns/default/sa/bookinfo-productpage"'), String(line));
    });
  });
}

async function kubectlSteps({ suite, home, kubectl, env }) {
  await suite.step('programs that obey http_proxy are captured too: curl in a pod reaches names, the proxy\'s admin and its own application', async () => {
    await kubectl('apply', '-f', join(root, 'samples/curl/curl.yaml'));
    await kubectl('rollout', 'status', 'deployment/curl', '--timeout=30s');
    const curl = async (container, ...args) => (await kubectl('exec', 'deploy/curl', '-c', container, '--', 'curl', '-s', '-m', '5', ...args)).stdout;
    check((await curl('curl', 'http://httpbin:8000/headers')).includes('URI=spiffe://cluster.local/ns/default/sa/curl'), 'httpbin did not see curl\'s identity');
    check((await curl('istio-proxy', 'http://localhost:15000/server_info')).includes('"LIVE"'), 'no admin interface at localhost');
    check((await curl('curl', '-o', '/dev/null', '-w', '%{http_code}', 'http://nosuch.default:80/')) === '502', 'an unknown name is no 502');
  });
  await suite.step('port-forward leads into the pod, past the proxy', async () => {
    const child = spawn('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), 'port-forward', 'deploy/details-v1', ':9080'], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const port = await new Promise((resolve) => child.stdout.on('data', (chunk) => /127\.0\.0\.1:(\d+)/.exec(String(chunk)) && resolve(/127\.0\.0\.1:(\d+)/.exec(String(chunk))[1])));
      const answer = await http(`http://127.0.0.1:${port}/details/0`);
      check(answer.status === 200 && answer.headers['x-envoy-upstream-service-time'] === undefined, `${answer.status} ${answer.body}`);
    } finally {
      child.kill();
    }
  });
  await suite.step('a pod that is deleted gives its address back', async () => {
    const ip = (await kubectl('get', 'pods', '-l', 'app=curl', '-o', 'jsonpath={.items[0].status.podIP}')).stdout;
    const answers = () => new Promise((resolve) => connect(15021, ip).on('connect', () => resolve(true)).on('error', () => resolve(false)));
    check(await answers(), `nobody listens at ${ip}:15021`);
    await kubectl('delete', '-f', join(root, 'samples/curl/curl.yaml'));
    await eventually(async () => check(!(await answers()), `${ip}:15021 still answers`), 10_000);
  });
}

async function end({ suite, meltemi, home }, before) {
  const left = () => processes().filter((process) => environmentHas(process.pid, `MELTEMI_CLUSTER=${home}`) || process.command.includes(join(home, 'run')));
  const gone = () => check(left().length === 0, `still running: ${left().map((one) => `${one.pid} ${one.command}`).join('; ')}`);
  await suite.step('kill -9 of the cluster program ends every pod', async () => {
    const cluster = processes().find((process) => process.command.includes('cluster.js') && environmentHas(process.pid, `MELTEMI_HOME=${home}`) && !process.command.startsWith('/bin/sh'));
    check(cluster, 'no cluster program');
    check(left().length > 10, `only ${left().length} processes carry the cluster's name`);
    process.kill(cluster.pid, 'SIGKILL');
    await eventually(gone, 8000);
  });
  await suite.step('down leaves no process, namespace, interface, rule or mount', async () => {
    await meltemi('down');
    await eventually(gone, 5000);
    const after = machineState();
    for (const key of Object.keys(before)) check(after[key] === before[key], `${key} differ:\nbefore: ${before[key]}\nafter: ${after[key]}`);
  });
}

function environmentHas(pid, entry) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry);
  } catch {
    return false;
  }
}
