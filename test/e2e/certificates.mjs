// Certificates that live minutes (or seconds), under load: every request of the run must be answered well while workloads renew and the mesh's root changes.
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, eventually, http, root, run, Suite } from './harness.mjs';

/** Steps of a run: what is counted as skipped when it cannot be made. */
export const CERTIFICATES_STEPS = 6;

/**
 * `long`: two-minute certificates and at least ten renewals of every workload; `short`: as much as fits into forty seconds.
 * The root announces its successor when half of its life is left, and is forgotten when nothing it signed can be left.
 */
const PLANS = {
  long: { ttl: '2m', rootTtl: '12m', maxTtl: '3m', check: '5s', loadS: 660, renewals: 10, perSecond: 20 },
  short: { ttl: '8s', rootTtl: '40s', maxTtl: '10s', check: '1s', loadS: 24, renewals: 4, perSecond: 15 },
};

const STRICT = JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name: 'default', namespace: 'istio-system' }, spec: { mtls: { mode: 'STRICT' } } });
/** Every request to these is a handshake of its own; the others keep their connections through all renewals. */
const HANDSHAKES = ['productpage', 'details'];
const oneRequestEach = (host) => JSON.stringify({
  apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: `handshakes-${host}`, namespace: 'default' }, spec: { host, trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } } },
});

export async function certificates(length, dataPlane, envoyBin) {
  const plan = PLANS[length];
  const suite = new Suite(`certificates of ${plan.ttl} on ${dataPlane}`);
  const home = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  const env = { MELTEMI_HOME: home, ...(envoyBin && { ENVOY_BIN: envoyBin }) };
  const meltemi = (...args) => run(process.execPath, [join(root, 'dist/meltemi.js'), ...args], { env });
  const kubectl = (...args) => run('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), ...args], { env });
  const apply = (input) => run('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), 'apply', '-f', '-'], { env, input });
  const settings = {
    'meshConfig.defaultConfig.proxyMetadata.SECRET_TTL': plan.ttl,
    'values.pilot.env.CITADEL_SELF_SIGNED_CA_CERT_TTL': plan.rootTtl,
    'values.pilot.env.CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL': plan.check,
    'values.pilot.env.CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE': '50',
    'values.pilot.env.CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR': 'false',
    'values.pilot.env.MAX_WORKLOAD_CERT_TTL': plan.maxTtl,
  };
  const watched = [];
  try {
    let page;
    const up = await suite.step('the mesh comes up with short certificates', async () => {
      await run(process.execPath, [join(root, 'scripts/start.mjs'), '--data-plane', dataPlane, ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])], { env, timeoutMs: 90_000 });
      page = await eventually(async () => `${JSON.parse((await meltemi('status', '-o', 'json')).stdout).urls.ingress}/productpage`, 20_000, 500);
      for (const manifest of [STRICT, ...HANDSHAKES.map(oneRequestEach)]) await apply(manifest);
      await eventually(async () => check((await http(page)).status === 200, 'productpage does not answer'));
    });
    if (!up) {
      suite.skip(CERTIFICATES_STEPS - 1, 'the cluster did not come up');
      return suite;
    }
    const stop = watchRoots(kubectl, watched);
    const load = await runLoad(page, plan);
    stop();
    await verdicts({ suite, plan, kubectl, load, watched });
  } finally {
    await meltemi('down');
    rmSync(home, { recursive: true, force: true });
  }
  return suite;
}

async function verdicts({ suite, plan, kubectl, load, watched }) {
  await suite.step('no request failed', () => {
    check(load.failures.length === 0, `${load.failures.length} of ${load.requests}: ${load.failures.slice(0, 5).join(' | ')}`);
    check(load.requests > plan.loadS * plan.perSecond * 0.5, `only ${load.requests} requests were made`);
    return `${load.requests} requests, slowest ${load.slowestMs} ms`;
  });
  await suite.step(`every workload renewed at least ${plan.renewals} times`, async () => {
    const counts = await renewals(kubectl);
    const least = Math.min(...counts.values());
    check(counts.size === 8 && least >= plan.renewals, JSON.stringify([...counts]));
    return `${least} to ${Math.max(...counts.values())} times, ${counts.size} workloads`;
  });
  await suite.step('the root changed, and both were trusted in between', () => {
    const stages = watched.map(({ roots }) => roots.map((name) => name.slice(0, 8)).join('+'));
    // The root that signs stands first.
    const changes = watched.filter(({ roots }, index) => index > 0 && roots[0] !== watched[index - 1].roots[0]);
    check(changes.length >= 1, stages.join(' → '));
    for (const { roots } of changes) {
      const before = watched[watched.findIndex((one) => one.roots === roots) - 1].roots;
      check(before.includes(roots[0]) && roots.includes(before[0]), stages.join(' → '));
    }
    return stages.join(' → ');
  });
  await suite.step('there were handshakes all the time', async () => {
    const total = await handshakes(kubectl);
    check(total > load.requests * 0.4, `${total} handshakes for ${load.requests} requests`);
    return `${total} handshakes with details alone`;
  });
  await suite.step('certificates show their lifetime', async () => {
    const { stdout } = await kubectl('get', '--raw', '/api/v1/namespaces/istio-system/configmaps/istio-ca-root-cert');
    const [current] = certificatesIn(JSON.parse(stdout).data['root-cert.pem']);
    check(Date.parse(current.validTo) > Date.now(), `the first root ended at ${current.validTo}`);
    const [pod] = (await kubectl('get', 'pods', '-l', 'app=details', '-o', 'name')).stdout.trim().split('\n');
    const metrics = (await kubectl('exec', pod, '-c', 'istio-proxy', '--', 'curl', '-s', 'http://127.0.0.1:15020/stats/prometheus')).stdout;
    const left = Number(/^istio_agent_cert_expiry_seconds(?:\{.*\})? (-?\d+)/m.exec(metrics)?.[1]);
    check(left > 0 && left <= 180, `istio_agent_cert_expiry_seconds is ${left}`);
    return `${left} s left`;
  });
}

const certificatesIn = (pem) => (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((one) => new X509Certificate(one));

/** Remembers every different set of roots in ConfigMap istio-ca-root-cert. Returns how to stop. */
function watchRoots(kubectl, watched) {
  let running = true;
  void (async () => {
    while (running) {
      const { stdout } = await kubectl('get', 'configmap', 'istio-ca-root-cert', '-o', 'json').catch(() => ({ stdout: '' }));
      const roots = stdout ? certificatesIn(JSON.parse(stdout).data['root-cert.pem']).map(({ raw }) => createHash('sha256').update(raw).digest('hex')) : [];
      if (roots.length > 0 && watched.at(-1)?.roots.join() !== roots.join()) watched.push({ roots, at: Date.now() });
      await sleep(500);
    }
  })();
  return () => void (running = false);
}

/** Pages of Bookinfo at an even rate, as whole pages: productpage answers 200 also when what is behind it fails. */
async function runLoad(url, { loadS, perSecond }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  const result = { requests: 0, failures: [], slowestMs: 0 };
  const until = Date.now() + loadS * 1000;
  const open = new Set();
  for (let next = Date.now(); next < until; next += 1000 / perSecond) {
    await sleep(Math.max(0, next - Date.now()));
    // A machine that is busy makes the pages late; more of them would not help it.
    if (open.size >= 50) continue;
    const one = page(url, agent).then(({ problem, ms }) => {
      result.requests++;
      result.slowestMs = Math.max(result.slowestMs, ms);
      if (problem) result.failures.push(`${new Date().toISOString()} ${problem}`);
    });
    open.add(one);
    void one.then(() => open.delete(one));
  }
  await Promise.all(open);
  agent.destroy();
  return result;
}

function page(url, agent) {
  return new Promise((resolve) => {
    const from = Date.now();
    const done = (problem) => resolve({ problem, ms: Date.now() - from });
    const outgoing = request(url, { agent, timeout: 20_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => (text += chunk));
      answer.on('error', (error) => done(error.message));
      answer.on('end', () => {
        const error = /Error fetching[^<]*|currently unavailable/.exec(text)?.[0];
        done(answer.statusCode !== 200 ? `status ${answer.statusCode} ${text.slice(0, 200)}` : error);
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', (error) => done(error.message));
    outgoing.end();
  });
}

/** Renewals by pod, from what the agents say. */
async function renewals(kubectl) {
  const counts = new Map();
  for (const namespace of ['default', 'istio-system']) {
    const { items } = JSON.parse((await kubectl('-n', namespace, 'get', 'pods', '-o', 'json')).stdout);
    for (const { metadata, spec } of items) {
      if (![...spec.containers, ...(spec.initContainers ?? [])].some(({ name }) => name === 'istio-proxy')) continue;
      const { stdout } = await kubectl('-n', namespace, 'logs', metadata.name, '-c', 'istio-proxy');
      counts.set(metadata.name, (stdout.match(/generated new workload certificate/g) ?? []).length - 1);
    }
  }
  return counts;
}

async function handshakes(kubectl) {
  const [pod] = (await kubectl('get', 'pods', '-l', 'app=productpage', '-o', 'name')).stdout.trim().split('\n');
  // Every connection to details is one handshake. Envoy counts ssl.handshake of outbound clusters only when it is told to, connections always.
  const { stdout } = await kubectl('exec', pod, '-c', 'istio-proxy', '--', 'pilot-agent', 'request', 'GET', 'clusters');
  return [...stdout.matchAll(/^outbound\|9080\|\|details\..*::cx_total::(\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}
