/**
 * `kubectl port-forward`: for every connection the client accepts, a pair of streams with the same `requestID`, one for bytes and one for an error text.
 * @see https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
 */
import type { Duplex } from 'node:stream';
import { messageOf } from '../../../base/errors.ts';
import type { SpdyStream } from './spdy.ts';

/** Connects to a port of a pod, inside the pod; the kubelet's part. Rejects with a sentence for the user. */
export type PodDial = (namespace: string, pod: string, port: number) => Promise<Duplex>;

export const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io';
/** The partner of a stream must come within this time. */
const PAIR_MS = 30_000;
/** When the pod's side has ended, the client's may still say this long what it has to say. */
const LINGER_MS = 1000;

/** Makes the receiver of one connection's streams. */
export function forwardPorts(namespace: string, pod: string, dial: PodDial): (stream: SpdyStream) => void {
  const waiting = new Map<string, { readonly stream: SpdyStream; readonly timer: NodeJS.Timeout }>();
  return (stream) => {
    const type = stream.headers.get('streamtype') ?? '';
    const request = stream.headers.get('requestid') ?? stream.headers.get('port') ?? '';
    if (type !== 'data' && type !== 'error') return void stream.destroy();
    const partner = waiting.get(request);
    if (!partner) {
      const timer = setTimeout(() => {
        waiting.delete(request);
        stream.destroy();
      }, PAIR_MS);
      timer.unref();
      waiting.set(request, { stream, timer });
      return;
    }
    waiting.delete(request);
    clearTimeout(partner.timer);
    const [data, error] = type === 'data' ? [stream, partner.stream] : [partner.stream, stream];
    void forward(namespace, pod, dial, data, error);
  };
}

async function forward(namespace: string, pod: string, dial: PodDial, data: SpdyStream, error: SpdyStream): Promise<void> {
  error.resume();
  const port = Number(data.headers.get('port'));
  try {
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`unable to parse port "${data.headers.get('port') ?? ''}"`);
    const target = await dial(namespace, pod, port);
    await join(data, target);
    // Ended, not reset: a client takes a reset of this stream for a lost connection.
    error.end();
  } catch (thrown) {
    error.end(`an error occurred forwarding ${port} -> ${port}: error forwarding port ${port} to pod ${pod}: ${messageOf(thrown)}`);
    data.end();
    data.resume();
  }
}

/** Carries bytes both ways. Resolves when the target has ended and what it said has been passed on; the client then still has a moment to say something. */
function join(client: SpdyStream, target: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      target.destroy();
      resolve();
      const linger = setTimeout(() => client.destroy(), LINGER_MS);
      client.once('close', () => clearTimeout(linger));
      client.resume();
    };
    client.pipe(target);
    target.pipe(client);
    // A target that was reset ends nothing by itself.
    target.once('close', () => {
      if (client.writableFinished || client.destroyed) over();
      else client.end(over);
    });
    client.once('close', () => target.destroy());
  });
}
