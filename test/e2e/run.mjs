// End-to-end runs with real kubectl, real sockets and, where it can be had, real Envoy. `node test/e2e/run.mjs [--suite local|loopback|attach|bookinfo|machine|oidc|certificates|certificates-short] [--data-plane proxy|envoy] [--json FILE]`.
import { existsSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { attach } from './attach.mjs';
import { bookinfo } from './bookinfo.mjs';
import { certificates, CERTIFICATES_STEPS } from './certificates.mjs';
import { has, root, Suite } from './harness.mjs';
import { local } from './local.mjs';
import { machine, MACHINE_STEPS } from './machine.mjs';
import { loopback } from './loopback.mjs';
import { oidc, OIDC_STEPS } from './oidc.mjs';

const option = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);
/** Steps a suite has: what is counted as skipped when it cannot run. */
const BOOKINFO_STEPS = 22;
const LOCAL_STEPS = 24;
const LOOPBACK_STEPS = 22;
const ATTACH_STEPS = 4;

function findEnvoy() {
  const cached = join(process.env.MELTEMI_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'meltemi'), 'envoy-1.40.0/envoy/_bin/envoy');
  const onPath = spawnSync('sh', ['-c', 'command -v envoy'], { encoding: 'utf8' }).stdout.trim();
  return [process.env.ENVOY_BIN, onPath, cached].find((path) => path && existsSync(path));
}

/** An ordinary user must be able to run our programs: a clone below a closed home directory cannot be tried as one. */
function readableByUsers() {
  return spawnSync('setpriv', ['--reuid=1000', '--regid=1000', '--clear-groups', process.execPath, join(root, 'dist/meltemi.js'), '--version'], { stdio: 'ignore' }).status === 0;
}

const suites = [];
const wanted = option('--data-plane') ? [option('--data-plane')] : ['proxy', 'envoy'];
const missing = ['kubectl', 'ip', 'iptables-restore', 'unshare', 'curl'].filter((tool) => !has(tool));
const included = (name) => (option('--suite') ?? (option('--data-plane') ? 'bookinfo' : name)) === name;
for (const mode of included('local') ? ['root', 'user'] : []) {
  const suite = new Suite(`one machine as ${mode}`);
  const obstacle = missing.length > 0 ? `${missing.join(', ')} cannot be found` : process.getuid() !== 0 ? 'only root can become both users' : mode === 'user' && !readableByUsers() ? 'users other than root cannot read this clone or Node' : undefined;
  if (obstacle) suite.skip(LOCAL_STEPS, obstacle);
  suites.push(obstacle ? suite : await local(mode));
}
if (included('loopback')) {
  const suite = new Suite('bookinfo without privileges');
  const absent = ['kubectl', 'unshare', 'nsenter', 'setpriv', 'curl'].filter((tool) => !has(tool));
  const obstacle = absent.length > 0 ? `${absent.join(', ')} cannot be found` : process.getuid() !== 0 ? 'only root can become a user without privileges' : !readableByUsers() ? 'users other than root cannot read this clone or Node' : undefined;
  if (obstacle) suite.skip(LOOPBACK_STEPS, obstacle);
  suites.push(obstacle ? suite : await loopback());
}
for (const network of included('attach') ? ['netns', 'loopback'] : []) {
  const suite = new Suite(`attach on ${network}`);
  if (missing.length > 0) suite.skip(ATTACH_STEPS, `${missing.join(', ')} cannot be found`);
  suites.push(missing.length > 0 ? suite : await attach(network));
}
for (const dataPlane of included('bookinfo') ? wanted : []) {
  const suite = new Suite(`bookinfo on ${dataPlane}`);
  const envoy = dataPlane === 'envoy' ? findEnvoy() : undefined;
  if (missing.length > 0) suite.skip(BOOKINFO_STEPS, `${missing.join(', ')} cannot be found`);
  else if (dataPlane === 'envoy' && !envoy) suite.skip(BOOKINFO_STEPS, 'no Envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy');
  else {
    suites.push(await bookinfo(dataPlane, envoy));
    continue;
  }
  suites.push(suite);
}
for (const dataPlane of included('oidc') ? wanted : []) {
  const envoy = dataPlane === 'envoy' ? findEnvoy() : undefined;
  const obstacle = missing.length > 0 ? `${missing.join(', ')} cannot be found` : dataPlane === 'envoy' && !envoy ? 'no Envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy' : undefined;
  const suite = new Suite(`login at the gateway on ${dataPlane}`);
  if (obstacle) suite.skip(OIDC_STEPS, obstacle);
  suites.push(obstacle ? suite : await oidc(dataPlane, envoy));
}
for (const dataPlane of included('machine') ? wanted : []) {
  const envoy = dataPlane === 'envoy' ? findEnvoy() : undefined;
  const obstacle = missing.length > 0 ? `${missing.join(', ')} cannot be found` : process.getuid() !== 0 || !has('nsenter') || !has('setpriv') ? 'only root with nsenter and setpriv can make a machine' : dataPlane === 'envoy' && !envoy ? 'no Envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy' : undefined;
  const suite = new Suite(`a machine outside of Kubernetes on ${dataPlane}`);
  if (obstacle) suite.skip(MACHINE_STEPS, obstacle);
  suites.push(obstacle ? suite : await machine(dataPlane, envoy));
}
// Ten renewals of two-minute certificates last eleven minutes: only when asked for. A short run on our own proxy is part of every run.
const length = option('--suite') === 'certificates' ? 'long' : included('certificates-short') ? 'short' : undefined;
for (const dataPlane of length === undefined ? [] : length === 'short' && !option('--data-plane') ? ['proxy'] : wanted) {
  const envoy = dataPlane === 'envoy' ? findEnvoy() : undefined;
  const obstacle = missing.length > 0 ? `${missing.join(', ')} cannot be found` : dataPlane === 'envoy' && !envoy ? 'no Envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy' : undefined;
  const suite = new Suite(`certificates on ${dataPlane}`);
  if (obstacle) suite.skip(CERTIFICATES_STEPS, obstacle);
  suites.push(obstacle ? suite : await certificates(length, dataPlane, envoy));
}
const sum = (key) => suites.reduce((total, suite) => total + suite[key], 0);
const result = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), names: suites.map((suite) => suite.names) };
if (option('--json')) writeFileSync(option('--json'), JSON.stringify(result, null, 2));
console.log(`end to end: ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
process.exit(result.failed === 0 ? 0 : 1);
