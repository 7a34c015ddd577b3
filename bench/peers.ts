/** nginx as backend and as peer, haproxy as peer: what a proxy costs that does none of a sidecar's duties. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BACKEND } from './mesh.ts';

const GATEWAY = '10.244.0.30';
const MB = 1024 * 1024;

/** CPU number a process and all its threads stay on. */
export function pin(pid: number, cpu: string): void {
  spawnSync('taskset', ['-a', '-cp', cpu, String(pid)], { stdio: 'ignore' });
}

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  child.on('error', (error) => process.stderr.write(`${command}: ${error.message}\n`));
  return child;
}

/** Serves 1 KB at /, 1 MB at /1m and 100 MB at /100m over HTTP/1.1 and, on its own port, HTTP/2 with prior knowledge. */
export function startBackend(folder: string): ChildProcess {
  const html = join(folder, 'html');
  mkdirSync(html, { recursive: true });
  writeFileSync(join(html, 'index.html'), 'x'.repeat(1024));
  writeFileSync(join(html, '1m'), Buffer.alloc(MB, 120));
  writeFileSync(join(html, '100m'), Buffer.alloc(100 * MB, 120));
  const conf = join(folder, 'backend.conf');
  writeFileSync(conf, `
daemon off; worker_processes 1; pid ${folder}/backend.pid; error_log stderr crit; user root;
events { worker_connections 8192; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; open_file_cache max=16; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen ${BACKEND.ip}:${BACKEND.http} backlog=4096; listen 10.244.0.10:8000 backlog=4096; root ${html}; location = /post { return 200 "${'y'.repeat(1024)}"; } }
  server { listen ${BACKEND.ip}:${BACKEND.h2c} http2 backlog=4096; keepalive_requests 1000000000; http2_max_concurrent_streams 1024; root ${html}; location = /post { return 200 "${'y'.repeat(1024)}"; } }
}`);
  return start('nginx', ['-c', conf]);
}

/** nginx as a reverse proxy on the gateway's address, with kept-alive upstream connections. */
export function startNginxPeer(folder: string, certificate: { readonly certPath: string; readonly keyPath: string }): ChildProcess {
  const conf = join(folder, 'peer.conf');
  writeFileSync(conf, `
daemon off; worker_processes 1; pid ${folder}/peer.pid; error_log stderr crit; user root;
events { worker_connections 8192; }
http {
  access_log off; tcp_nodelay on; keepalive_requests 1000000000; client_body_temp_path ${folder}/pb; proxy_temp_path ${folder}/pp; fastcgi_temp_path ${folder}/pf; uwsgi_temp_path ${folder}/pu; scgi_temp_path ${folder}/ps;
  upstream backend { server ${BACKEND.ip}:${BACKEND.http}; keepalive 128; keepalive_requests 1000000000; }
  server { listen ${GATEWAY}:8080 backlog=4096; listen ${GATEWAY}:8443 ssl backlog=4096; ssl_certificate ${certificate.certPath}; ssl_certificate_key ${certificate.keyPath}; location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }
}`);
  return start('nginx', ['-c', conf]);
}

/** haproxy as a reverse proxy on the gateway's address. */
export function startHaproxyPeer(folder: string, certificate: { readonly pemPath: string }): ChildProcess {
  const conf = join(folder, 'haproxy.cfg');
  writeFileSync(conf, `
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind ${GATEWAY}:8080
  bind ${GATEWAY}:8443 ssl crt ${certificate.pemPath}
  default_backend b
backend b
  server s ${BACKEND.ip}:${BACKEND.http}
`);
  return start('haproxy', ['-f', conf]);
}
