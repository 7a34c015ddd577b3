// A login at the gateway as `samples/oidc/README.md` tells it: one apply, then what a browser does, cookie by cookie.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, eventually, http, root, run, Suite } from './harness.mjs';

export const OIDC_STEPS = 9;
const HTML = { accept: 'text/html' };

/** A browser's memory of cookies, and nothing else of a browser. */
class Browser {
  cookies = new Map();

  constructor(base) {
    this.base = base;
  }

  async open(path, { method = 'GET', form, headers = HTML } = {}) {
    const url = new URL(path, this.base);
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const body = form === undefined ? undefined : String(new URLSearchParams(form));
    const answer = await http(url.href, { method, body, headers: { ...headers, ...(cookie && { cookie }), ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }) } });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      if (/Max-Age=0(;|$)/.test(line)) this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  }

  /** Sent to the form, logs in, comes back; resolves to the callback's answer. */
  async login(path, username, password) {
    const away = await this.open(path);
    check(away.status === 302 && away.headers.location?.startsWith('/oidc/authorize?'), `${away.status} ${away.headers.location} ${away.body.slice(0, 200)}`);
    const form = await this.open(away.headers.location);
    check(form.status === 200 && form.body.includes('name="password"'), `${form.status} ${form.body.slice(0, 200)}`);
    const answer = await this.open('/oidc/authorize', { method: 'POST', form: { ...Object.fromEntries(new URL(away.headers.location, this.base).searchParams), username, password } });
    return answer.status === 303 ? this.open(answer.headers.location) : answer;
  }
}

export async function oidc(dataPlane, envoyBin) {
  const suite = new Suite(`login at the gateway on ${dataPlane}`);
  const home = mkdtempSync(join(tmpdir(), 'meltemi-e2e-oidc-'));
  const env = { MELTEMI_HOME: home, ...(envoyBin && { ENVOY_BIN: envoyBin }) };
  const meltemi = (...args) => run(process.execPath, [join(root, 'dist/meltemi.js'), ...args], { env });
  const kubectl = (...args) => run('kubectl', ['--kubeconfig', join(home, 'kubeconfig'), ...args], { env });
  try {
    let base;
    const up = await suite.step('one apply beside Bookinfo', async () => {
      await run(process.execPath, [join(root, 'scripts/start.mjs'), '--data-plane', dataPlane], { env, timeoutMs: 90_000 });
      base = JSON.parse((await meltemi('status', '-o', 'json')).stdout).urls.ingress;
      await kubectl('apply', '-f', join(root, 'samples/oidc'));
      for (const name of ['oidc-provider', 'oidc-login']) await kubectl('rollout', 'status', '-n', 'oidc', `deployment/${name}`, '--timeout=60s');
      await eventually(async () => {
        const { status, headers } = await http(`${base}/productpage`, { headers: HTML });
        check(status === 302 && headers.location?.startsWith('/oidc/'), `${status} ${headers.location}`);
      }, 20_000);
    });
    if (up) await steps(suite, base);
    else suite.skip(OIDC_STEPS - 1, 'the mesh did not come up');
  } finally {
    await meltemi('down');
    rmSync(home, { recursive: true, force: true });
  }
  return suite;
}

async function steps(suite, base) {
  const alice = new Browser(base);
  await suite.step('a script gets 401, not a form', async () => {
    const { status, body } = await http(`${base}/productpage`, { headers: { accept: '*/*' } });
    check(status === 401 && body.includes('log in first'), `${status} ${body}`);
  });
  await suite.step('a wrong password does not log in', async () => {
    const browser = new Browser(base);
    const answer = await browser.login('/productpage', 'alice', 'nonsense');
    check(answer.status === 401 && !browser.cookies.has('meltemi-session'), `${answer.status}`);
  });
  await suite.step('alice logs in and sees the page she wanted', async () => {
    const back = await alice.login('/productpage?u=normal', 'alice', 'wonderland');
    check(back.status === 302 && back.headers.location === '/productpage?u=normal', `${back.status} ${back.headers.location} ${back.body}`);
    check(alice.cookies.has('meltemi-session') && !alice.cookies.has('meltemi-login'), [...alice.cookies.keys()].join());
    await eventually(async () => {
      const page = await alice.open(back.headers.location);
      check(page.status === 200 && page.body.includes('Simple Bookstore App'), `${page.status} ${page.body.slice(0, 200)}`);
    });
  });
  await suite.step('the session is the cookie: others still have to log in', async () => {
    const { status } = await new Browser(base).open('/productpage');
    check(status === 302, String(status));
  });
  await suite.step('a token or an identity header from outside does not open the door', async () => {
    for (const headers of [{ authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.' }, { 'x-auth-user': 'alice', 'x-auth-sub': 'alice' }, { cookie: 'meltemi-session=guessed' }]) {
      const { status } = await http(`${base}/productpage`, { headers: { ...HTML, ...headers } });
      check(status === 302, `${JSON.stringify(headers)}: ${status}`);
    }
  });
  await suite.step('paths beside the login stay closed', async () => {
    for (const path of ['//productpage', '/oidc/../productpage', '/oauth2/%2e%2e/productpage', '/oauth2', '/oidc']) {
      const { status } = await http(base + path, { headers: HTML });
      // Envoy asks nobody about a request without a route; the token's policy refuses it then.
      check(status === 302 || status === 403, `${path}: ${status}`);
    }
  });
  await suite.step('the callback takes no answer of another browser, and none twice', async () => {
    const [mallory, victim] = [new Browser(base), new Browser(base)];
    const away = await mallory.open('/productpage');
    const answer = await mallory.open('/oidc/authorize', { method: 'POST', form: { ...Object.fromEntries(new URL(away.headers.location, base).searchParams), username: 'bob', password: 'builder' } });
    check(answer.status === 303, `${answer.status} ${answer.body}`);
    await victim.open('/productpage');
    check((await victim.open(answer.headers.location)).status === 400, 'a login was slipped in');
    check((await mallory.open(answer.headers.location)).status === 400, 'an answer counted twice');
    const foreign = new URL(away.headers.location, base);
    foreign.searchParams.set('redirect_uri', 'http://evil.example/oauth2/callback');
    check((await mallory.open(foreign.href)).status === 400, 'another site is taken for the callback');
  });
  await suite.step('logging out ends the session', async () => {
    const stolen = new Browser(base);
    stolen.cookies = new Map(alice.cookies);
    check((await alice.open('/oauth2/logout')).status === 200, 'logout');
    check((await alice.open('/productpage')).status === 302, 'still logged in');
    check((await stolen.open('/productpage')).status === 302, 'the session outlives the logout');
  });
}
