/** One HTTPS call to a webhook, with the error texts of the API server. */
import { Agent, request } from 'node:https';
import { messageOf } from '../../../base/errors.ts';
import { own, textAt } from '../json.ts';

/** The address behind a service of a webhook. */
export type Dial = (service: { readonly namespace: string; readonly name: string; readonly port: number }) => Promise<{ readonly host: string; readonly port: number }>;

/** An answer larger than this is an error. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

const agents = new Map<string, Agent>();

/** Connections are kept per trust root and name. */
function agentFor(ca: string, serverName: string): Agent {
  const key = `${serverName} ${ca}`;
  let agent = agents.get(key);
  if (!agent) {
    if (agents.size > 64) for (const [old, one] of agents) {
      one.destroy();
      agents.delete(old);
    }
    agents.set(key, (agent = new Agent({ keepAlive: true, maxSockets: 16, maxFreeSockets: 1, timeout: 30_000, ...(ca ? { ca } : {}), ...(serverName ? { servername: serverName } : {}) })));
  }
  return agent;
}

/** Posts a review and returns the parsed answer. Rejects with an Error whose message explains the failure as the API server does. */
export async function callWebhook(clientConfig: unknown, review: unknown, timeoutSeconds: number, dial: Dial): Promise<unknown> {
  const service = own(clientConfig, 'service');
  const base = service
    ? `https://${textAt(service, 'name')}.${textAt(service, 'namespace')}.svc:${Number(own(service, 'port') ?? 443)}${textAt(service, 'path')}`
    : textAt(clientConfig, 'url');
  const url = new URL(base);
  url.searchParams.set('timeout', `${timeoutSeconds}s`);
  // As the API server writes it: with the port, even when it is the usual one.
  const shownUrl = service ? url.href.replace(`//${url.host}/`, `//${url.hostname}:${url.port || 443}/`) : url.href;
  const fail = (why: string): Error => new Error(`failed to call webhook: Post "${shownUrl}": ${why}`);
  let address = { host: url.hostname, port: Number(url.port || 443) };
  if (service) {
    const namespace = textAt(service, 'namespace');
    address = await dial({ namespace, name: textAt(service, 'name'), port: Number(own(service, 'port') ?? 443) }).catch((thrown: unknown) => {
      throw fail(messageOf(thrown));
    });
  }
  const ca = Buffer.from(textAt(clientConfig, 'caBundle'), 'base64').toString('utf8');
  const body = Buffer.from(JSON.stringify(review));
  const answer = await post(url, address, agentFor(ca, service ? url.hostname : ''), body, timeoutSeconds * 1000).catch((thrown: unknown) => {
    throw fail(explain(thrown, address, timeoutSeconds));
  });
  if (answer.status !== 200) throw new Error(`failed to call webhook: the server rejected our request for an unknown reason (status ${answer.status})`);
  try {
    return JSON.parse(answer.text);
  } catch (thrown) {
    throw new Error(`failed to call webhook: the answer is no JSON: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function post(url: URL, address: { host: string; port: number }, agent: Agent, body: Buffer, timeoutMs: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: address.host, port: address.port, path: url.pathname + url.search, method: 'POST', agent,
        headers: { host: url.host, 'content-type': 'application/json', accept: 'application/json', 'content-length': body.length, 'user-agent': 'kube-apiserver-admission' },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER_BYTES) call.destroy(new Error('response is too large'));
          else chunks.push(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

function explain(thrown: unknown, address: { host: string; port: number }, timeoutSeconds: number): string {
  const code = String(own(thrown, 'code') ?? '');
  const where = `dial tcp ${address.host}:${address.port}`;
  if (code === 'ECONNREFUSED') return `${where}: connect: connection refused`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${address.host}: no such host`;
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `${where}: connect: no route to host`;
  if (code === 'ABORT_ERR' || (thrown as Error).name === 'TimeoutError' || (thrown as Error).name === 'AbortError') return `context deadline exceeded (timeout ${timeoutSeconds}s)`;
  if (code.startsWith('ERR_TLS') || /certificate|CERT|SELF_SIGNED|VERIFY/.test(code)) return `tls: failed to verify certificate: x509: ${messageOf(thrown)}`;
  if (code === 'ECONNRESET') return 'EOF';
  return messageOf(thrown);
}
