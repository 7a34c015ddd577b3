import { contentHash } from '../model/hash.ts';
import { parseProtocol, selectProtocol } from '../model/protocol.ts';
import type { Sidecar } from '../model/sidecar.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, expandHost, namespaceOf, originOf, readSpec, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';
import { readConnectionPool } from './destination-rule.ts';
import { readServerTls } from './gateway.ts';

/** Reads a Sidecar; undefined (and issues) when it must be left out. */
export function resolveSidecar(context: ResolveContext, object: KubeObject): Sidecar | undefined {
  const namespace = namespaceOf(object);
  return readSpec(context, object, (spec) => {
    const labels = spec.at('workloadSelector').at('labels');
    const policy = spec.at('outboundTrafficPolicy');
    const body = {
      kind: 'sidecar' as const,
      name: object.metadata.name, namespace,
      selector: labels.exists && labels.entries().length > 0 ? labels.stringMap() : undefined,
      egress: spec.at('egress').items().map((listener) => ({
        port: readPort(listener.at('port')), bind: listener.at('bind').string(), opened: listener.at('captureMode').oneOf(['DEFAULT', 'IPTABLES', 'NONE']) === 'NONE',
        hosts: listener.at('hosts').strings().flatMap((entry) => readHost(context, entry, namespace)),
      })),
      ingress: spec.at('ingress').items().flatMap((listener) => {
        const port = readPort(listener.at('port'));
        if (!port) {
          listener.at('port').fail('is required');
          return [];
        }
        return [{ port, bind: listener.at('bind').string(), defaultEndpoint: listener.at('defaultEndpoint').string(), tls: readServerTls(listener.at('tls')), connectionPool: readConnectionPool(listener.at('connectionPool')) }];
      }),
      inboundConnectionPool: readConnectionPool(spec.at('inboundConnectionPool')),
      // An empty policy reads as REGISTRY_ONLY: the enum's zero value, as Istio has it.
      outboundPolicy: policy.exists ? (policy.at('mode').oneOf(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']) ?? 'REGISTRY_ONLY') : undefined,
      createdMs: createdMsOf(object), origin: originOf(object),
    };
    return { ...body, digest: contentHash(body) };
  });
}

function readPort(port: Cursor) {
  if (!port.exists) return undefined;
  const number = port.at('number').number() ?? 0;
  const name = port.at('name').string();
  return { number, name, protocol: parseProtocol(port.at('protocol').string()) ?? selectProtocol({ number, name }) };
}

function readHost(context: ResolveContext, entry: string, namespace: string): readonly { namespace: string; host: string; exclude: boolean }[] {
  const exclude = entry.startsWith('~') && entry !== '~/*' && !entry.startsWith('~/');
  const text = exclude ? entry.slice(1) : entry;
  const slash = text.indexOf('/');
  const scope = slash < 0 ? '*' : text.slice(0, slash);
  if (scope === '~') return [];
  const from = scope === '.' ? namespace : scope;
  return [{ namespace: from, host: expandHost(context, text.slice(slash + 1), from === '*' ? namespace : from), exclude }];
}
