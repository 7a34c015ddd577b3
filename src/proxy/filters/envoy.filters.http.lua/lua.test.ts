/** Scripts on a whole proxy. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { hcmFilter, listenerOf, startStatic, staticCluster } from '../../testing/proxy-harness.ts';

const T = 'type.googleapis.com/';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function echo(name: string): Promise<number> {
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => response.writeHead(request.url === '/empty' ? 204 : 200, { 'x-from': name, 'x-two': ['a', 'b'] }).end(request.url === '/empty' ? undefined : JSON.stringify({ name, method: request.method, headers: request.headers, url: request.url, body: Buffer.concat(chunks).toString() })));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => (server.closeAllConnections(), server.close()));
  return (server.address() as AddressInfo).port;
}

async function lua(code: string, more: { readonly route?: JsonObject; readonly config?: JsonObject } = {}): Promise<string> {
  const harness = await startStatic({
    clusters: [staticCluster('a', [await echo('a')]), staticCluster('b', [await echo('b')])],
    listeners: [listenerOf('in', [{ filters: [hcmFilter([{ name: 'to-b', match: { prefix: '/', headers: [{ name: 'x-to', stringMatch: { exact: 'b' } }] }, route: { cluster: 'b' } }, { name: 'main', match: { prefix: '/' }, route: { cluster: 'a' }, ...more.route }], {
      httpFilters: [{ name: 'lua', typedConfig: { '@type': `${T}envoy.extensions.filters.http.lua.v3.Lua`, ...(code && { defaultSourceCode: { inlineString: code } }), ...more.config } }, { name: 'envoy.filters.http.router', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } }],
    })] }])],
  });
  cleanups.push(() => harness.close());
  return `http://127.0.0.1:${harness.port('in')}`;
}

interface Echo {
  readonly name: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly url: string;
  readonly body: string;
}

const onRequest = (body: string) => `function envoy_on_request(h)\n${body}\nend`;
const onResponse = (body: string) => `function envoy_on_response(h)\n${body}\nend`;
/** Header `x-out` of what the server got. */
const out = async (body: string, init?: RequestInit, path = '/p?q=1') => ((await (await fetch((await lua(onRequest(body))) + path, init)).json()) as Echo).headers['x-out'];

describe('requests', () => {
  it.each([
    ['adds', 'h:headers():add("x-out", "bar")', 'bar'],
    ['gets and joins', 'h:headers():add("x-in", "2") h:headers():add("x-out", h:headers():get("X-In"))', '1,2'],
    ['counts and indexes', 'h:headers():add("x-in", "2") h:headers():add("x-out", h:headers():getNumValues("x-in") .. h:headers():getAtIndex("x-in", 1))', '22'],
    ['knows what is not there', 'h:headers():add("x-out", tostring(h:headers():get("nope")))', 'nil'],
    ['replaces and removes', 'h:headers():replace("x-in", "9") h:headers():add("x-out", h:headers():get("x-in")) h:headers():remove("x-in")', '9'],
    ['reads pseudo headers', 'h:headers():add("x-out", h:headers():get(":method") .. h:headers():get(":path"))', 'POST/p?q=1'],
    ['iterates', 'local n = 0 for k, v in pairs(h:headers()) do if k == "x-in" then n = v end end h:headers():add("x-out", n)', '1'],
    ['reads the body', 'h:headers():add("x-out", h:body():length() .. h:body():getBytes(0, 4))', '9some'],
    ['reads chunks', 'local s = "" for c in h:bodyChunks() do s = s .. c:getBytes(0, c:length()) end h:headers():add("x-out", s)', 'some body'],
    ['encodes', 'h:headers():add("x-out", h:base64Escape("foo\\0bar"))', 'Zm9vAGJhcg=='],
    ['knows the stream', 'local i = h:streamInfo() h:headers():add("x-out", i:protocol() .. " " .. i:routeName() .. " " .. i:requestedServerName() .. ".")', 'HTTP/1.1 main .'],
    ['keeps metadata', 'h:streamInfo():dynamicMetadata():set("f", "k", "v") h:headers():add("x-out", h:streamInfo():dynamicMetadata():get("f")["k"])', 'v'],
    ['knows a plaintext connection', 'h:headers():add("x-out", tostring(h:connection():ssl()))', 'nil'],
    ['tells the time', 'h:headers():add("x-out", tostring(h:timestamp() > 1600000000000))', 'true'],
    ['has what LuaJIT has', 'h:headers():add("x-out", bit.band(6, 3) .. unpack({"x"}))', '2x'],
    ['has no files', 'h:headers():add("x-out", tostring(io) .. tostring(os) .. tostring(dofile) .. tostring(require))', 'nilnilnilnil'],
    ['goes on after an error', 'h:headers():add("x-out", "before") error("boom")', 'before'],
    ['goes on after an endless loop', 'h:headers():add("x-out", "before") while true do end', 'before'],
    ['cannot catch the limit for ever', 'h:headers():add("x-out", "before") for i = 1, 3 do pcall(function() while true do end end) end', 'before'],
  ])('%s', async (_, body, expected) => expect(await out(body, { method: 'POST', body: 'some body', headers: { 'x-in': '1' } })).toBe(expected), 15_000);

  it('says that there is no body, unless told to wrap', async () => {
    expect(await out('h:headers():add("x-out", tostring(h:body()))')).toBe('nil');
    expect(await out('h:headers():add("x-out", tostring(h:body(true):length()))')).toBe('0');
  });
  it('changes the body', async () => {
    const { body, headers } = (await (await fetch(await lua(onRequest('h:body():setBytes("changed!")')), { method: 'POST', body: 'x' })).json()) as Echo;
    expect([body, headers['content-length']]).toEqual(['changed!', '8']);
  });
  it('answers', async () => {
    const answer = await fetch(await lua(onRequest('h:respond({[":status"] = "403", ["x-why"] = "lua"}, "nope") h:headers():add("never", "1")')));
    expect([answer.status, answer.headers.get('x-why'), await answer.text()]).toEqual([403, 'lua', 'nope']);
  });
  it('calls others', async () => {
    const code = onRequest('local headers, body = h:httpCall("b", {[":method"] = "POST", [":path"] = "/call", [":authority"] = "b", ["x-k"] = "v"}, "hello", 1000) h:headers():add("x-out", headers[":status"] .. headers["x-from"] .. headers["x-two"]) h:headers():add("x-body", body)');
    const { headers } = (await (await fetch(await lua(code))).json()) as Echo;
    expect(headers['x-out']).toBe('200ba,b');
    expect(JSON.parse(headers['x-body']!)).toMatchObject({ name: 'b', method: 'POST', url: '/call', body: 'hello' });
  });
  it('hears of what cannot be reached', async () => expect(await out('local headers = h:httpCall("gone", {[":method"] = "GET", [":path"] = "/", [":authority"] = "b"}, nil, 100) h:headers():add("x-out", headers[":status"])')).toBe('503'));
  it('routes by what it changed', async () => expect(((await (await fetch(await lua(onRequest('h:headers():add("x-to", "b") h:headers():replace(":path", "/new")')))).json()) as Echo)).toMatchObject({ name: 'b', url: '/new' }));
  it('verifies signatures', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const der = publicKey.export({ type: 'spki', format: 'der' }).toString('hex');
    const signature = sign('sha256', Buffer.from('data'), privateKey).toString('hex');
    const code = `local function hex(s) return (s:gsub("..", function(c) return string.char(tonumber(c, 16)) end)) end
      local key = h:importPublicKey(hex("${der}"), ${der.length / 2}):get()
      local good = h:verifySignature("sha256", key, hex("${signature}"), ${signature.length / 2}, "data", 4)
      local bad, why = h:verifySignature("sha256", key, hex("${signature}"), ${signature.length / 2}, "datb", 4)
      h:headers():add("x-out", tostring(good) .. tostring(bad) .. why)`;
    expect(await out(code)).toBe('truefalseFailed to verify digest');
    expect(createHash('sha256').update(der).digest('hex')).toHaveLength(64);
  });
  it('keeps globals and requests apart', async () => {
    const url = await lua('count = 0\n' + onRequest('count = count + 1 h:body() h:headers():add("x-out", tostring(count))'));
    const seen = await Promise.all(Array.from({ length: 20 }, async () => ((await (await fetch(url, { method: 'POST', body: 'x' })).json()) as Echo).headers['x-out']));
    expect(seen).toHaveLength(20);
    expect(seen.every((value) => Number(value) >= 1 && Number(value) <= 20)).toBe(true);
  });
});

describe('responses', () => {
  it('runs the example of the books', async () => {
    const answer = await fetch(await lua(`${onRequest('h:headers():add("foo", "bar")')}\n${onResponse('body_size = h:body():length()\nh:headers():add("response-body-size", tostring(body_size))')}`));
    const text = await answer.text();
    expect(answer.headers.get('response-body-size')).toBe(String(text.length));
    expect((JSON.parse(text) as Echo).headers['foo']).toBe('bar');
  });
  it('changes status, headers and body', async () => {
    const answer = await fetch(await lua(onResponse('h:headers():replace(":status", "201") h:headers():remove("x-from") h:body():setBytes("short")')));
    expect([answer.status, answer.headers.get('x-from'), await answer.text(), answer.headers.get('content-length')]).toEqual([201, null, 'short', '5']);
  });
  it('asks others meanwhile', async () => {
    const answer = await fetch(await lua(onResponse('local headers = h:httpCall("b", {[":method"] = "GET", [":path"] = "/", [":authority"] = "b"}, nil, 1000) h:headers():add("x-asked", headers["x-from"])')));
    expect([answer.headers.get('x-asked'), ((await answer.json()) as Echo).name]).toEqual(['b', 'a']);
  });
  it('knows responses without a body', async () => expect((await fetch((await lua(onResponse('h:headers():add("x-body", tostring(h:body()))'))) + '/empty')).headers.get('x-body')).toBe('nil'));
  it('keeps large bodies whole', async () => {
    const big = 'x'.repeat(600_000);
    const answer = await fetch(await lua(onResponse('h:headers():add("x-size", tostring(h:body():length()))')), { method: 'POST', body: big });
    const text = await answer.text();
    expect([answer.headers.get('x-size'), (JSON.parse(text) as Echo).body.length]).toEqual([String(text.length), big.length]);
  });
  it('refuses bodies over the limit', async () => {
    const answer = await fetch(await lua(onResponse('h:body()')), { method: 'POST', body: 'x'.repeat(1_200_000) });
    expect([answer.status, await answer.text()]).toEqual([500, 'Internal Server Error']);
  });
});

describe('configuration', () => {
  const route = (more: JsonObject): JsonObject => ({ typedPerFilterConfig: { lua: { '@type': `${T}envoy.extensions.filters.http.lua.v3.LuaPerRoute`, ...more } } });
  const main = onRequest('h:headers():add("x-out", "main")');
  const other = { sourceCodes: { other: { inlineString: onRequest('h:headers():add("x-out", "other")') } } };
  it.each([
    ['off', { disabled: true }, undefined], ['another script', { name: 'other' }, 'other'], ['a script of its own', { sourceCode: { inlineString: onRequest('h:headers():add("x-out", "own")') } }, 'own'],
  ])('a route has %s', async (_, more, expected) => expect(((await (await fetch(await lua(main, { route: route(more as JsonObject), config: other }))).json()) as Echo).headers['x-out']).toBe(expected));
  it('refuses scripts that do not load, by name', async () => await expect(lua('function envoy_on_request(h) this is not lua')).rejects.toThrow(/script load error: .*near/));
  it('refuses scripts that never end', async () => await expect(lua('while true do end')).rejects.toThrow('script exceeded 1000000 instructions'));
});
