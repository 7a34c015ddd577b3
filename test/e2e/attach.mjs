// The demo of examples/attach, line by line, on one network. Used by run.mjs; a plain cluster of its own, so that it can be killed.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { login } from './bookinfo.mjs';
import { check, eventually, http, root, run, Suite } from './harness.mjs';

const DIST = process.env.MELTEMI_DIST ?? join(root, 'dist');
const ROUTES = ['get', 'virtualservice', 'reviews', '-o', 'jsonpath={range .spec.http[*]}{.name};{end}'];

export async function attach(network) {
  const suite = new Suite(`attach on ${network}`);
  const home = mkdtempSync(join(tmpdir(), 'meltemi-attach-'));
  const env = { MELTEMI_HOME: home };
  const meltemi = (...args) => run(process.execPath, [join(DIST, 'meltemi.js'), ...args], { env });
  const kubectl = (...args) => run('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), ...args], { env });
  const program = spawn(process.execPath, [join(root, 'examples/attach/reviews.js')], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise((resolve, reject) => {
      program.stdout.once('data', (text) => resolve(Number(/:(\d+)/.exec(String(text))[1])));
      program.once('exit', (code) => reject(new Error(`examples/attach/reviews.js ended with ${code}`)));
    });
    await meltemi('up', '--network', network, '--deploy', 'bookinfo');
    const { urls } = JSON.parse((await meltemi('status', '-o', 'json')).stdout);
    await steps({ suite, kubectl, env, port, page: `${urls.ingress}/productpage` });
  } catch (error) {
    await suite.step('prepare', () => Promise.reject(error));
  } finally {
    program.kill();
    await meltemi('down');
    rmSync(home, { recursive: true, force: true });
  }
  return suite;
}

/** Starts `attach` and waits until it says that it stands. */
async function start(env, ...args) {
  const child = spawn(process.execPath, [join(DIST, 'meltemi.js'), 'attach', ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'pipe'] });
  let text = '';
  const exited = new Promise((resolve) => child.on('exit', (code) => resolve({ code, text })));
  child.stderr.on('data', (chunk) => (text += chunk));
  await eventually(() => check(text.includes('Press Ctrl-C') || child.exitCode !== null, text), 40_000);
  check(child.exitCode === null, text);
  return { child, exited };
}

async function steps({ suite, kubectl, env, port, page }) {
  const args = ['--service', 'reviews', '--version', 'dev', '--port', String(port), '--match-header', 'end-user=jason'];
  const mine = 'This comes from my machine.';
  const cookie = await login(page);
  const isMine = async (want, headers = {}) => {
    for (let count = 0; count < 5; count++) check((await http(page, { headers })).body.includes(mine) === want, `${headers.cookie ? 'jason' : 'somebody'} ${want ? 'does not see' : 'sees'} the attached version`);
  };
  await suite.step('jason\'s requests come to this machine, nobody else\'s do, with no VirtualService before', async () => {
    const { child, exited } = await start(env, ...args);
    await eventually(() => isMine(true, { cookie }), 5000);
    for (let count = 0; count < 4; count++) await isMine(false);
    const { stdout } = await kubectl('get', 'pod', 'reviews-dev', '-o', 'jsonpath={.spec.serviceAccountName} {.metadata.labels.version} {.status.containerStatuses[*].ready}');
    check(stdout.startsWith('bookinfo-reviews dev true'), stdout);
    child.kill('SIGINT');
    const { code, text } = await exited;
    check(code === 0 && text.includes('Detached'), `exit ${code}: ${text}`);
    const left = (await kubectl('get', 'pods,services,virtualservices', '-l', 'meltemi.io/attach', '-o', 'name')).stdout;
    check(left === '', left);
    await eventually(() => isMine(false, { cookie }), 5000);
  });
  await suite.step('a VirtualService that is there keeps its routes, gets ours back when it is applied again, and loses only ours', async () => {
    const apply = () => kubectl('apply', '-f', join(root, 'samples/bookinfo/networking/destination-rule-all.yaml'), '-f', join(root, 'samples/bookinfo/networking/virtual-service-reviews-test-v2.yaml'));
    await apply();
    const before = (await kubectl('get', 'virtualservice', 'reviews', '-o', 'jsonpath={.spec}')).stdout;
    const { child, exited } = await start(env, ...args);
    await eventually(() => isMine(true, { cookie }), 5000);
    await isMine(false);
    await kubectl('patch', 'virtualservice', 'reviews', '--type=json', '-p', '[{"op":"remove","path":"/spec/http/0"}]');
    await eventually(async () => check((await kubectl(...ROUTES)).stdout.includes('meltemi-attach-reviews-dev'), 'the route did not come back'), 6000);
    child.kill('SIGINT');
    await exited;
    const after = (await kubectl('get', 'virtualservice', 'reviews', '-o', 'jsonpath={.spec}')).stdout;
    check(after === before, `before: ${before}\nafter: ${after}`);
  });
  await suite.step('detach cleans up after an attach that was killed', async () => {
    const { child, exited } = await start(env, ...args);
    child.kill('SIGKILL');
    await exited;
    check((await run(process.execPath, [join(DIST, 'meltemi.js'), 'detach'], { env })).stderr.includes('Detached reviews dev'), 'detach found nothing');
    check((await kubectl(...ROUTES)).stdout.includes('attach') === false, 'a route is left');
  });
  await suite.step('mistakes are told before anything is made', async () => {
    const refused = async (text, ...wrong) => {
      const { code, stderr } = await run(process.execPath, [join(DIST, 'meltemi.js'), 'attach', ...wrong], { env, expect: null });
      check(code !== 0 && stderr.includes(text), `exit ${code}: ${stderr}`);
    };
    await refused('no service "revews"', '--service', 'revews', '--port', '7070');
    await refused('NAME=VALUE', '--service', 'reviews', '--port', '7070', '--match-header', 'x-dev-user');
    await kubectl('create', 'service', 'clusterip', 'reviews-taken', '--tcp=9080');
    await refused('choose another --version', '--service', 'reviews', '--port', '7070', '--version', 'taken');
  });
}
