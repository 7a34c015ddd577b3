// End-to-end runs with real kubectl, real sockets and, where it can be had, real Envoy. `node test/e2e/run.mjs [--suite NAME] [--data-plane proxy|envoy] [--json FILE]`; SUITES has the names.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { attach } from './attach.mjs';
import { bookinfo } from './bookinfo.mjs';
import { certificates, CERTIFICATES_STEPS } from './certificates.mjs';
import { has, root, Suite } from './harness.mjs';
import { local } from './local.mjs';
import { loopback } from './loopback.mjs';
import { machine, MACHINE_STEPS } from './machine.mjs';
import { oidc, OIDC_STEPS } from './oidc.mjs';

const NETNS_TOOLS = ['kubectl', 'ip', 'iptables-restore', 'unshare', 'curl'];

/**
 * Suites by name: `variants` run by default (data planes where the variant is one, and then `--data-plane` chooses another), `onDemand` suites only when
 * they are asked for; `steps` is what is counted as skipped when a suite cannot run.
 */
const SUITES = {
  local: { title: (user) => `one machine as ${user}`, steps: 24, tools: NETNS_TOOLS, root: true, variants: ['root', 'user'], run: (user) => local(user) },
  loopback: { title: () => 'bookinfo without privileges', steps: 22, tools: ['kubectl', 'unshare', 'nsenter', 'setpriv', 'curl'], root: true, variants: ['proxy'], run: () => loopback() },
  attach: { title: (network) => `attach on ${network}`, steps: 4, tools: NETNS_TOOLS, variants: ['netns', 'loopback'], run: (network) => attach(network) },
  bookinfo: { title: (dataPlane) => `bookinfo on ${dataPlane}`, steps: 22, tools: NETNS_TOOLS, planes: true, variants: ['proxy', 'envoy'], run: (dataPlane, envoy) => bookinfo(dataPlane, envoy) },
  oidc: { title: (dataPlane) => `login at the gateway on ${dataPlane}`, steps: OIDC_STEPS, tools: NETNS_TOOLS, planes: true, variants: ['proxy'], run: (dataPlane, envoy) => oidc(dataPlane, envoy) },
  machine: { title: (dataPlane) => `a machine outside of Kubernetes on ${dataPlane}`, steps: MACHINE_STEPS, tools: [...NETNS_TOOLS, 'nsenter', 'setpriv'], root: true, planes: true, variants: ['proxy'], run: (dataPlane, envoy) => machine(dataPlane, envoy) },
  'certificates-short': { title: (dataPlane) => `certificates on ${dataPlane}`, steps: CERTIFICATES_STEPS, tools: NETNS_TOOLS, planes: true, variants: ['proxy'], run: (dataPlane, envoy) => certificates('short', dataPlane, envoy) },
  // Ten renewals of two-minute certificates last eleven minutes.
  certificates: { title: (dataPlane) => `certificates on ${dataPlane}`, steps: CERTIFICATES_STEPS, tools: NETNS_TOOLS, planes: true, onDemand: true, variants: ['proxy', 'envoy'], run: (dataPlane, envoy) => certificates('long', dataPlane, envoy) },
};

const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);

function findEnvoy() {
  const cached = join(process.env.MELTEMI_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'meltemi'), 'envoy-1.40.0/envoy/_bin/envoy');
  const onPath = spawnSync('sh', ['-c', 'command -v envoy'], { encoding: 'utf8' }).stdout.trim();
  return [process.env.ENVOY_BIN, onPath, cached].find((path) => path && existsSync(path));
}

/** Other users (uid 1000, and 1337 of sidecars) must be able to run our programs. */
function readableByUsers() {
  return spawnSync('setpriv', ['--reuid=1000', '--regid=1000', '--clear-groups', process.execPath, join(root, 'dist/meltemi.js'), '--version'], { stdio: 'ignore' }).status === 0;
}

/** A clone below a closed home directory is tried from a copy that everybody may read (hard links where the file system allows). */
function runFromCopy() {
  const copy = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
  const json = option('--json');
  const args = process.argv.slice(2).map((word) => (word === json ? resolve(json) : word));
  const paths = ['dist', 'node_modules', 'package.json', 'samples', 'scripts', 'examples', 'test'].map((name) => join(root, name));
  try {
    spawnSync('chmod', ['755', copy]);
    if (spawnSync('cp', ['-al', ...paths, copy], { stdio: 'ignore' }).status !== 0 && spawnSync('cp', ['-a', ...paths, copy], { stdio: 'inherit' }).status !== 0) return 1;
    return spawnSync(process.execPath, [join(copy, 'test/e2e/run.mjs'), ...args], { stdio: 'inherit', env: { ...process.env, MELTEMI_E2E_COPY: '1' } }).status ?? 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Why a suite cannot be run here. */
function obstacleOf(suite, variant, envoy) {
  const missing = suite.tools.filter((tool) => !has(tool));
  if (missing.length > 0) return `${missing.join(', ')} cannot be found`;
  if (suite.root && process.getuid() !== 0) return 'only root can become the users it needs';
  if (variant === 'envoy' && !envoy) return 'no Envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy';
  return suite.root && !readableByUsers() ? 'users other than root cannot read this clone or Node' : undefined;
}

async function main() {
  const wanted = option('--suite') ?? (option('--data-plane') ? 'bookinfo' : undefined);
  if (wanted !== undefined && !Object.hasOwn(SUITES, wanted)) throw new Error(`--suite is one of ${Object.keys(SUITES).join(', ')}`);
  const done = [];
  for (const [name, suite] of Object.entries(SUITES)) {
    if (wanted === undefined ? suite.onDemand : wanted !== name) continue;
    for (const variant of suite.planes && option('--data-plane') ? [option('--data-plane')] : suite.variants) {
      const envoy = variant === 'envoy' ? findEnvoy() : undefined;
      const obstacle = obstacleOf(suite, variant, envoy);
      if (obstacle === undefined) done.push(await suite.run(variant, envoy));
      else {
        const skipped = new Suite(suite.title(variant));
        skipped.skip(suite.steps, obstacle);
        done.push(skipped);
      }
    }
  }
  const sum = (key) => done.reduce((total, suite) => total + suite[key], 0);
  const result = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), names: done.map((suite) => suite.names) };
  if (option('--json')) writeFileSync(option('--json'), JSON.stringify(result, null, 2));
  console.log(`end to end: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
  return result.failed === 0 ? 0 : 1;
}

const closed = process.getuid?.() === 0 && has('setpriv') && !process.env.MELTEMI_E2E_COPY && existsSync(join(root, 'dist/meltemi.js')) && !readableByUsers();
process.exit(closed ? runFromCopy() : await main());
