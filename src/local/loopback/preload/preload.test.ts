import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { POD_NETWORK_VARIABLE, type PodNetwork } from '../pod-network.ts';
import { writeRedirect } from '../redirect-file.ts';
import { mappedCommand, mappedPath } from './files.ts';
import { candidates } from './names.ts';

describe('mappedPath', () => {
  const mounts = [['/etc/app/keys', '/v/keys'], ['/etc/app', '/v/app'], ['/tmp/', '/v/tmp']] as const;
  it.each([['/etc/app', '/v/app'], ['/etc/app/x/y', '/v/app/x/y'], ['/etc/app/keys/a', '/v/keys/a'], ['/etc/apple', '/etc/apple'], ['etc/app', 'etc/app'], ['/tmp/a', '/v/tmp/a']])('%s → %s', (path, expected) => expect(mappedPath(path, mounts)).toBe(expected));
});

describe('mappedCommand', () => {
  const mounts = [['/data', '/v/data']] as const;
  it.each<[readonly string[], readonly string[]]>([
    [['node', '/data/a.js', '--dir=/data'], ['node', '/v/data/a.js', '--dir=/data']],
    [['sh', '-c', 'cat /data/x >> "/data/y"; X=/data ls /database $HOME/data http://h/data;/data/run'], ['sh', '-c', 'cat /v/data/x >> "/v/data/y"; X=/v/data ls /database $HOME/data http://h/data;/v/data/run']],
    [['/bin/bash', '-ec', 'cd /data&&ls', '/data'], ['/bin/bash', '-ec', 'cd /v/data&&ls', '/v/data']],
    [['echo', '-c', 'see /data/x'], ['echo', '-c', 'see /data/x']],
  ])('%j', (argv, expected) => expect(mappedCommand(argv, mounts)).toEqual(expected));
});

describe('candidates', () => {
  const searches = ['default.svc.cluster.local', 'svc.cluster.local'];
  it.each<[string, readonly string[]]>([
    ['reviews', ['reviews.default.svc.cluster.local', 'reviews.svc.cluster.local', 'reviews']],
    ['a.b.c.d.e.f', ['a.b.c.d.e.f', 'a.b.c.d.e.f.default.svc.cluster.local', 'a.b.c.d.e.f.svc.cluster.local']],
    ['reviews.', ['reviews']],
  ])('%s', (name, expected) => expect(candidates(name, searches, 5)).toEqual(expected));
});

/** Whole programs with the preload, as containers have it. Addresses of a base that no cluster starts with in tests. */
describe('a Node program in a loopback pod', () => {
  let folder: string;
  const preload = () => join(folder, 'preload.cjs');
  const network = (change: Partial<PodNetwork> = {}): PodNetwork => ({
    role: 'app', podIP: '127.124.9.2', localIP: '127.125.9.2', base: 124, firstPort: 1024, hostname: 'pod-a', folder, dns: { server: '127.126.0.10', searches: [], ndots: 5 },
    hosts: [{ ip: '127.124.9.2', names: ['pod-a'] }], mounts: [['/etc/app', join(folder, 'volume')]], ...change,
  });
  const start = (script: string, pod: PodNetwork) => {
    const file = join(mkdtempSync(join(folder, 'pod-')), 'network.json');
    writeFileSync(file, JSON.stringify(pod));
    return spawn(process.execPath, ['-e', script], { env: { PATH: process.env['PATH'], NODE_OPTIONS: `--require ${preload()}`, [POD_NETWORK_VARIABLE]: file }, stdio: ['ignore', 'pipe', 'inherit'] });
  };
  const output = async (script: string, pod: PodNetwork): Promise<unknown> => {
    const child = start(script, pod);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await new Promise((resolve) => child.on('close', resolve));
    return JSON.parse(text);
  };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'preload-'));
    mkdirSync(join(folder, 'volume'));
    writeFileSync(join(folder, 'volume/config.yaml'), 'from the volume');
    await build({ entryPoints: ['src/programs/pod-preload.ts'], outfile: preload(), bundle: true, platform: 'node', format: 'cjs', logLevel: 'error' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('sees its volumes, host name and addresses', async () => {
    const script = `const fs=require('fs'),os=require('os');import('node:fs/promises').then(async p=>console.log(JSON.stringify([fs.readFileSync('/etc/app/config.yaml','utf8'),await p.readFile('/etc/app/config.yaml','utf8'),fs.existsSync('/etc/app/none'),fs.readdirSync('/etc/app'),os.hostname(),os.networkInterfaces().eth0[0].address])))`;
    expect(await output(script, network())).toEqual(['from the volume', 'from the volume', false, ['config.yaml'], 'pod-a', '127.124.9.2']);
  });

  it('listens on its own address, says what it was asked for, and talks to itself', async () => {
    const script = `const h=require('http');const s=h.createServer((q,r)=>r.end(q.socket.remoteAddress)).listen(80,async()=>{const a=s.address();const t=[];for(const u of ['http://localhost','http://127.0.0.1','http://pod-a','http://127.124.9.2'])t.push(await (await fetch(u)).text());console.log(JSON.stringify([a,t]));s.close();process.exit()})`;
    expect(await output(script, network())).toEqual([{ address: '::', family: 'IPv6', port: 80 }, ['127.0.0.1', '127.0.0.1', '127.124.9.2', '127.124.9.2']]);
  });

  it('does so in threads, with HTTP/2 and with datagrams', async () => {
    const script = `
      const {Worker}=require('worker_threads'),http2=require('http2'),dgram=require('dgram');
      const inThread="const h=require('http');const s=h.createServer((q,r)=>r.end('thread')).listen(9090,async()=>{require('worker_threads').parentPort.postMessage(await (await fetch('http://pod-a:9090')).text());s.close();s.closeAllConnections()})";
      const results=[];
      const thread=new Promise(r=>new Worker(inThread,{eval:true}).once('message',m=>r(m)));
      const h2=new Promise(r=>{const s=http2.createServer((q,a)=>a.end('h2')).listen(8443,()=>{const c=http2.connect('http://localhost:8443');c.request({':path':'/'}).setEncoding('utf8').on('data',d=>{r(d);c.destroy();s.close()})})});
      const udp=new Promise(r=>{const u=dgram.createSocket('udp4');u.on('message',(m,from)=>u.send(m+' and back',from.port,from.address));const c=dgram.createSocket('udp4').on('message',m=>r(String(m)));u.bind(5353,()=>c.send('datagram',5353,'localhost'))});
      Promise.all([thread,h2,udp]).then(all=>{console.log(JSON.stringify(all));process.exit()})`;
    expect(await output(script, network())).toEqual(['thread', 'h2', 'datagram and back']);
  });

  it('keeps what listens on localhost to itself', async () => {
    const child = start(`require('net').createServer().listen(4711,'127.0.0.1',()=>console.log('up'))`, network());
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const refused = (host: string) => new Promise<string>((resolve) => net.connect(4711, host).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? '')).on('connect', () => resolve('connected')));
    expect([await refused('127.124.9.2'), await refused('127.125.9.2')]).toEqual(['ECONNREFUSED', 'connected']);
    child.kill();
  });

  it('tells its proxy where a captured connection was going, before the first byte', async () => {
    writeRedirect(folder, { proxyPort: '15001', inboundCapturePort: '15006', inboundPortsInclude: '*', inboundPortsExclude: '', outboundPortsInclude: '', outboundPortsExclude: '', outboundIpRangesInclude: '*', outboundIpRangesExclude: '', redirectDns: false });
    const heard = new Promise<Buffer>((resolve) => {
      const server = net.createServer((socket) => {
        const chunks: Buffer[] = [];
        socket.on('data', (chunk) => void (chunks.push(chunk), Buffer.concat(chunks).includes('hello') && (resolve(Buffer.concat(chunks)), socket.end('bye'), server.close())));
      });
      server.listen(15001, '127.125.9.2');
    });
    const peer = await output(`const s=require('net').connect(9080,'127.126.3.4',()=>s.write('hello'));s.on('data',d=>(console.log(JSON.stringify([s.remoteAddress,s.remotePort,s.localAddress,String(d)])),s.destroy()))`, network());
    expect(peer).toEqual(['127.126.3.4', 9080, '127.124.9.2', 'bye']);
    const bytes = await heard;
    expect(bytes.subarray(0, 16).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c');
    expect([...bytes.subarray(16, 24)]).toEqual([127, 124, 9, 2, 127, 126, 3, 4]);
    expect([bytes.readUInt16BE(26), bytes.subarray(28).toString()]).toEqual([9080, 'hello']);
  });

  it('announces captured listeners and withdraws them', async () => {
    const child = start(`const s=require('net').createServer().listen(5151,()=>{console.log('up');process.once('SIGUSR2',()=>s.close(()=>console.log('down')))})`, network());
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const announced = () => spawnSync('ls', [join(folder, 'ports')], { encoding: 'utf8' }).stdout.split('\n').includes('5151');
    expect(announced()).toBe(true);
    child.kill('SIGUSR2');
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(announced()).toBe(false);
    expect(readFileSync(join(folder, 'redirect.json'), 'utf8')).toContain('"15001"');
    child.kill();
  });
});
